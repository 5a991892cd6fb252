import { Call } from '../store/call.ts';
import type { Env, Timer } from '../store/env.ts';
import type { Position } from '../store/primitives.ts';
import type { Turn, TurnTaker } from './admission.ts';
import { type Admitted, admit, type ConnectionInfo, checkPlace, type Reception } from './admit.ts';
import { failureOf } from './connection-failure.ts';
import { ConnectionWrites } from './connection-writes.ts';
import { breachOf, type EndReason } from './end-reason.ts';
import { type Grant, LiveGrant } from './grant.ts';
import type { GroupFrame, GroupReader, GroupSource } from './group-frames.ts';
import type { AskedWrites } from './incoming-writes.ts';
import {
  encodeMessage,
  type Message,
  type MessageOf,
  PROTOCOL_VERSION,
  RANGES_VERSION,
  TERMS_VERSION,
} from './protocol.ts';
import type { Member, PublicationCore, SubscriberStats } from './publication-core.ts';
import type { ConnectionState } from './publication-status.ts';
import { ServerComparison } from './server-comparison.ts';
import {
  errorMessage,
  type ServerEffect,
  type ServerEvent,
  ServerSession,
} from './server-session.ts';
import type { SourceSums } from './source-sums.ts';
import { type StreamOwner, SubscriberStream } from './subscriber-stream.ts';
import type { Transport, TransportClose } from './transports/transport.ts';
import { CLOSE, ProtocolError } from './wire.ts';

/** So many bytes of answers may wait beside the stream for one who does not read. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** After so long it is looked again whether a transport has passed on what waited. */
const RECHECK_MS = 100;
/** What a step of a comparison counts as progress. */
const RANGE_STEP_BYTES = 64 * 1024;

/** The first group of a stream, where it is neither a snapshot nor what follows a cursor. */
type Mend = (reader: GroupReader) => AsyncGenerator<GroupFrame, void>;

/** Serves one connection: drives the session, and does what it says. */
export class ServerConnection implements Member, TurnTaker, StreamOwner {
  readonly #reception: Reception;
  readonly #transport: Transport;
  readonly #info: ConnectionInfo;
  readonly #env: Env;
  readonly #session: ServerSession;
  readonly #call: Call;
  readonly #startedMs: number;
  #timer: Timer;
  #core: PublicationCore | undefined;
  #stream: SubscriberStream | undefined;
  #comparison: ServerComparison | undefined;
  #clientId = '';
  #grant: LiveGrant | undefined;
  #writes: ConnectionWrites | undefined;
  /** The right to read, while there is one. */
  #turn: Turn | undefined;
  /** Leaves when it holds this. */
  #drain: { readonly rev: number; readonly spreadMs: number } | undefined;
  /** Looks again whether what waits in the transport has become less. */
  #recheck: Timer | undefined;
  #ended = false;

  constructor(reception: Reception, transport: Transport, info: ConnectionInfo) {
    this.#reception = reception;
    this.#transport = transport;
    this.#info = info;
    this.#env = reception.env;
    this.#startedMs = this.#env.monotonicMs();
    this.#session = new ServerSession(reception.limits, this.#startedMs);
    this.#call = Call.background(this.#env, 'publish');
    this.#timer = this.#setTimer(reception.limits.handshakeTimeoutMs);
    reception.greeting.add(this);
    transport.start({
      message: (frame) => this.#step({ type: 'frame', frame }),
      drain: () => this.#stream?.wake(),
      close: (how) => this.#lost(how),
    });
  }

  get state(): ConnectionState {
    if (this.#core === undefined) return 'greeting';
    return this.#stream?.state ?? (this.#turn === undefined ? 'waiting' : 'comparing');
  }

  get bufferedBytes(): number {
    return this.#transport.bufferedBytes;
  }

  get rev(): number {
    return this.#session.ackedRev;
  }

  stats(nowMs: number): SubscriberStats {
    const { ackedRev, streamedBytes, trouble } = this.#session;
    const { revs = 0, ageMs = 0 } = this.#core?.lagOf(ackedRev, nowMs) ?? {};
    return {
      id: this.#clientId,
      state: this.state,
      rev: ackedRev,
      lag: revs,
      lagMs: ageMs,
      bufferedBytes: this.bufferedBytes,
      sentBytes: streamedBytes,
      sentOperations: this.#stream?.sentOperations ?? 0,
      connectedMs: nowMs - this.#startedMs,
      mayWrite: this.#grant?.mayWrite === true,
      ...(trouble !== '' && { trouble }),
    };
  }

  leave(spreadMs: number): void {
    this.sendAway('going-away', spreadMs);
  }

  sendAway(reason: EndReason, spreadMs: number): void {
    this.#step({ type: 'leaving', spreadMs, reason });
  }

  get grant(): LiveGrant | undefined {
    return this.#grant;
  }

  drain(rev: number, spreadMs: number): void {
    this.#drain = { rev, spreadMs };
    this.#leaveIfDrained();
  }

  #leaveIfDrained(): void {
    const drain = this.#drain;
    if (drain === undefined || this.#ended) return;
    if (this.rev >= drain.rev && this.#session.isAnswered) this.leave(drain.spreadMs);
  }

  #step(event: ServerEvent): void {
    if (this.#ended) return;
    for (const effect of this.#session.step(event, this.#env.monotonicMs())) this.#do(effect);
    if (event.type === 'frame' || event.type === 'written') this.#leaveIfDrained();
  }

  #do(effect: ServerEffect): void {
    if (effect.do === 'send') this.#answer(effect.message);
    else if (effect.do === 'wake') this.#wake();
    else if (effect.do === 'range') this.#compare(effect.body);
    else if (effect.do === 'admit') this.#admit(effect.hello).catch((error) => this.#fail(error));
    else if (effect.do === 'end') this.#end(effect.code, effect.reason);
    else this.#write(effect);
  }

  #wake(): void {
    this.#stream?.acked(this.#session.ackedRev);
    this.#stream?.wake();
  }

  #write(asked: AskedWrites): void {
    this.#writes ??= new ConnectionWrites({
      core: this.#core as PublicationCore,
      rights: () => this.#grant?.rights ?? {},
      written: (answer) => this.#step({ type: 'written', answer }),
      failed: (error) => this.#fail(error),
    });
    this.#writes.push(asked);
  }

  /** Whoever asks and asks and takes no answer would have them all wait here. */
  #answer(message: Message): void {
    const limits = this.#core?.limits;
    const bound = (limits?.bufferedBytes ?? 0) + MAX_ANSWER_BYTES;
    if (this.#transport.bufferedBytes > bound) this.#end(CLOSE.tryLater, 'no-progress');
    else this.#transport.send(encodeMessage(message));
  }

  #setTimer(delayMs: number): Timer {
    return this.#env.setTimer(() => this.#tick(), delayMs, { background: true });
  }

  #restartTimer(): void {
    this.#timer.cancel();
    this.#timer = this.#setTimer(this.#session.dueMs(this.#env.monotonicMs()));
  }

  #tick(): void {
    const core = this.#core;
    this.#step({ type: 'tick', headRev: core?.headRev ?? 0 });
    if (this.#ended) return;
    this.#timer = this.#setTimer(this.#session.dueMs(this.#env.monotonicMs()));
    // For the next heartbeat.
    core?.refreshHead();
  }

  async #admit(hello: MessageOf<'hello'>): Promise<void> {
    const admitted = await admit(this.#reception, this.#info, hello, this.#call);
    if (this.#ended) return;
    const { core, grant } = admitted;
    // It may have closed or filled up in the meantime.
    checkPlace(core);
    this.#core = core;
    this.#grant = this.#follow(core, grant, hello.newestVersion >= TERMS_VERSION);
    this.#clientId = hello.clientId.slice(0, 64);
    this.#reception.greeting.delete(this);
    core.join(this);
    this.#open(admitted, this.#grant, hello);
    this.#grant.check();
  }

  #follow(core: PublicationCore, grant: Grant, knowsTerms: boolean): LiveGrant {
    const live = new LiveGrant({
      core,
      env: this.#env,
      grant,
      knowsTerms,
      sendAway: (spreadMs) => this.sendAway('rights-changed', spreadMs),
      changed: (terms) => {
        const { mayWrite, lifeMs: expiresInMs } = live;
        this.#step({ type: 'granted', mayWrite, expiresInMs, ...(terms && { terms }) });
        if (!this.#ended) this.#restartTimer();
      },
      failed: (error) => this.#fail(error),
    });
    return live;
  }

  #open(
    { core, grant: { scope }, sourceId, head, at }: Admitted,
    live: LiveGrant,
    hello: MessageOf<'hello'>,
  ): void {
    const { limits, mayWrite, lifeMs: expiresInMs } = live;
    const terms = live.terms(head);
    const nowMs = this.#env.now();
    const { heartbeatMs } = limits;
    this.#step({
      type: 'opened',
      limits,
      ready: {
        type: 'ready',
        version: Math.min(PROTOCOL_VERSION, hello.newestVersion),
        sourceId,
        fresh: at === undefined,
        head,
        scope: scope.id,
        codec: core.side.codecName,
        mayWrite,
        heartbeatMs,
        nowMs: Math.max(0, Math.floor(nowMs)),
      },
      ...(terms !== undefined && { terms }),
      ...(expiresInMs !== undefined && { expiresInMs }),
    });
    this.#restartTimer();
    if (this.#ended) return;
    const source = core.source(scope, sourceId);
    const isCopy = hello.cursor !== undefined && hello.sourceId === sourceId;
    const mayCompare = at === undefined && isCopy && hello.newestVersion >= RANGES_VERSION;
    const sums = mayCompare ? core.sums(source, hello.prefix) : undefined;
    if (sums === undefined) this.#startStream(core, source, at);
    else this.#startComparison(core, source, sums);
  }

  /** Finds what differs; the stream begins with that. */
  #startComparison(core: PublicationCore, source: GroupSource, sums: SourceSums): void {
    const goOn = (mend?: Mend): void => {
      this.#step({ type: 'comparing', mayCompare: false });
      if (!this.#ended) this.#startStream(core, source, undefined, mend);
    };
    const comparison = new ServerComparison({
      sums,
      leastKeys: core.limits.comparedKeys,
      send: (body) => {
        this.#answer({ type: 'range', body });
        this.#turn?.blocked();
      },
      listen: () => this.#step({ type: 'comparing', mayCompare: true }),
      compared: (keys, since) => goOn((reader) => reader.mend(keys, since, this.#call)),
      gaveUp: () => goOn(),
      failed: (error) => this.#failComparison(error),
    });
    this.#comparison = comparison;
    this.enter().then((turn) => {
      if (turn !== undefined) comparison.start();
    });
  }

  /** Waits until it may read; gives nothing when the connection has ended meanwhile. */
  async enter(): Promise<Turn | undefined> {
    const turn = await this.#reception.admission.enter(this);
    if (this.#ended) turn?.end();
    else this.#turn = turn;
    return this.#ended ? undefined : turn;
  }

  #compare(body: Uint8Array): void {
    this.#turn?.moved(RANGE_STEP_BYTES);
    try {
      this.#comparison?.take(body);
    } catch (error) {
      this.#failComparison(error);
    }
  }

  #failComparison(error: unknown): void {
    if (!(error instanceof ProtocolError)) this.#fail(error);
    else {
      this.#answer(errorMessage(0, error));
      this.#end(error.closeCode, breachOf(error.closeCode) ?? 'protocol-error');
    }
  }

  #startStream(
    core: PublicationCore,
    source: GroupSource,
    at: Position | undefined,
    first?: Mend,
  ): void {
    const stream = new SubscriberStream({ core, source, call: this.#call, owner: this });
    this.#stream = stream;
    stream.run(at, first, this.#turn).catch((error) => this.#fail(error));
  }

  /** Whether another frame may wait in the transport. Not every transport tells when it may again. */
  #hasRoom(core: PublicationCore): boolean {
    const waiting = this.#transport.bufferedBytes;
    if (waiting === 0 || waiting + core.limits.batchBytes <= core.allowedBytes) return true;
    this.#recheck ??= this.#env.setTimer(
      () => {
        this.#recheck = undefined;
        this.#stream?.wake();
      },
      RECHECK_MS,
      { background: true },
    );
    return false;
  }

  breathe(): Promise<void> | undefined {
    return this.#reception.admission.breathe();
  }

  mayGo(): boolean {
    return this.#session.mayStream && this.#hasRoom(this.#core as PublicationCore);
  }

  send(frame: GroupFrame): void {
    const core = this.#core as PublicationCore;
    const bytes = frame.bytes.length;
    this.#transport.send(frame.bytes);
    core.sentBytes += bytes;
    core.sentOperations += frame.operations;
    if (frame.end !== undefined) core.sawHead(frame.end);
    const endsLongGroup = frame.end !== undefined && !frame.begins;
    this.#session.step({ type: 'streamed', bytes, endsLongGroup }, this.#env.monotonicMs());
  }

  /** Something failed that concerns the whole connection. */
  #fail(error: unknown): void {
    if (this.#ended) return;
    const { cause, told, reason } = failureOf(error);
    if (reason === 'failed') this.#core?.onError(cause);
    this.#step({ type: 'refused', error: told, reason });
  }

  #end(code: number, reason: EndReason): void {
    if (this.#ended) return;
    this.#transport.close(code, reason);
    this.#release(reason);
  }

  #lost({ code }: TransportClose): void {
    if (this.#ended) return;
    this.#session.closed();
    const orderly = code === CLOSE.normal || code === CLOSE.goingAway;
    this.#release(orderly ? 'closed-by-subscriber' : (breachOf(code) ?? 'lost'));
  }

  #release(reason: EndReason): void {
    this.#ended = true;
    this.#timer.cancel();
    this.#recheck?.cancel();
    this.#reception.greeting.delete(this);
    this.#reception.admission.leave(this);
    this.#turn?.end();
    this.#writes?.end();
    this.#grant?.end();
    this.#call.end('closed');
    this.#stream?.end();
    this.#comparison?.end();
    this.#core?.part(this);
    if (this.#core === undefined) this.#reception.count(reason);
    else this.#core.count(reason);
  }
}
