import type { Env, Timer } from '../store/env.ts';
import { StrataError } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import type { Position } from '../store/primitives.ts';
import type { Store } from '../store/store.ts';
import { randomId } from '../store/version.ts';
import { Applier } from './applier.ts';
import type { Group } from './apply-group.ts';
import { backoffMs } from './backoff.ts';
import { type ChangeListener, ChangeListeners, type ChangeMatch } from './change-listeners.ts';
import { ClientConnection, type ConnectionEnd } from './client-connection.ts';
import { untold } from './cursor-record.ts';
import { forwarders } from './forwarding.ts';
import { canStage } from './group-stage.ts';
import { LocalComparison } from './local-comparison.ts';
import { Pause } from './pause.ts';
import type { MessageOf } from './protocol.ts';
import { remoteStore } from './remote-store.ts';
import { RemoteWrites } from './remote-writes.ts';
import { type LocalSide, localSide } from './sides.ts';
import { SourceClock } from './source-clock.ts';
import { asSubscribeError } from './subscribe-errors.ts';
import type { SubscribeOptions, Subscription, SubscriptionStatus } from './subscription.ts';
import type { Connector, Transport } from './transports/transport.ts';

const DEFAULTS = {
  timeoutMs: 5_000,
  creditBytes: 2 * 1024 * 1024,
  groupBytes: 512 * 1024 * 1024,
  stageBytes: 4 * 1024 * 1024,
  stageKeys: 10_000,
  applyTimeoutMs: 60_000,
  connectTimeoutMs: 10_000,
};

/** A connection that lasted so long, or brought something, was good. */
const GOOD_CONNECTION_MS = 10_000;

const NO_STARTS = { snapshots: 0, reconciles: 0, resumes: 0 };

/** Errors after which the same subscription can never succeed. */
const FINAL: ReadonlySet<string> = new Set([
  'invalid-argument',
  'unsupported',
  'conflict',
  'closed',
  'overloaded',
]);

/** A subscription: one connection after the other, one local copy. */
export class Subscriber<V> implements Subscription<V> {
  readonly ready: Promise<void>;
  readonly remote: Store<V>;
  readonly #to: Connector | Transport;
  readonly #options: SubscribeOptions<V>;
  readonly #limits: typeof DEFAULTS;
  readonly #env: Env;
  readonly #side: LocalSide<V>;
  readonly #clientId: string;
  readonly #applier: Applier;
  readonly #comparison: LocalComparison;
  readonly #listeners: ChangeListeners<V>;
  readonly #writes: RemoteWrites;
  #settleReady: { resolve(): void; reject(error: Error): void } | undefined;
  #readyTimer: Timer | undefined;
  #connection: ClientConnection | undefined;
  /** The server's word at the current connection. */
  #greeting: MessageOf<'ready'> | undefined;
  readonly #clock: SourceClock;
  /** Where the copy stood when the server last answered. */
  #greetedAtRev = 0;
  /** Groups wait for the check of the source. */
  #checked: Promise<boolean> = Promise.resolve(true);
  #at: Position | undefined;
  #headRev = 0;
  #target: Position | undefined;
  #wasReady = false;
  #trouble: StrataError | undefined;
  #final: StrataError | undefined;
  readonly #pause: Pause;
  #lastError: Error | undefined;
  #counts = { connections: 0, receivedBytes: 0, sentBytes: 0, ...NO_STARTS };

  constructor(to: Connector | Transport, local: Store<V>, options: SubscribeOptions<V>) {
    const primitives = primitivesOf(local, 'subscribe');
    this.#to = to;
    this.#options = options;
    this.#limits = { ...DEFAULTS, timeoutMs: options.timeoutMs ?? DEFAULTS.timeoutMs };
    for (const [name, value] of Object.entries(options.limits ?? {}))
      if (value !== undefined) this.#limits[name as keyof typeof DEFAULTS] = value;
    this.#env = options.env ?? primitives.env;
    this.#clock = new SourceClock(this.#env);
    this.#pause = new Pause(this.#env);
    this.#side = localSide(local, options.codec);
    this.#clientId = randomId(this.#env);
    this.#writes = new RemoteWrites(this.#env);
    this.#listeners = new ChangeListeners((error) => this.#report(error));
    if (options.onChange !== undefined) this.#listeners.add('', options.onChange);
    this.#applier = this.#makeApplier();
    this.#comparison = new LocalComparison(this.#side, options.prefix ?? '', this.#env);
    this.remote = remoteStore({
      local: primitives,
      env: this.#clock.env(),
      timeoutMs: this.#limits.timeoutMs,
      sourceId: () => this.#applier.record?.record.sourceId,
      toBytes: this.#side.toBytes,
      commit: (writes, call) => this.#writes.commit(writes, call),
    });
    forwarders.set(this.remote, this.#writes.forwarder(this.#limits.timeoutMs));
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    // Whoever does not ask is told by onError.
    this.ready.catch(() => undefined);
    this.#readyTimer = this.#env.setTimer(() => this.#noAnswer(), this.#limits.timeoutMs);
    this.#run().catch((error: unknown) => this.#finish(asSubscribeError(error)));
  }

  status(): SubscriptionStatus {
    const { receivedBytes = 0, sentBytes = 0 } = this.#connection ?? {};
    const rev = this.#at?.rev ?? 0;
    const headRev = Math.max(rev, this.#headRev);
    const connected = this.#connection?.isOpen === true;
    return {
      state: this.#state(connected, rev >= headRev),
      connected,
      ...(this.#greeting !== undefined && { sourceId: this.#greeting.sourceId }),
      rev,
      headRev,
      lag: headRev - rev,
      mayWrite: this.#writes.mayWrite,
      ...this.#counts,
      receivedBytes: this.#counts.receivedBytes + receivedBytes,
      sentBytes: this.#counts.sentBytes + sentBytes,
      ...(this.#lastError !== undefined && { lastError: this.#lastError }),
    };
  }

  onChange(match: ChangeMatch, fn: ChangeListener<V>): () => void {
    return this.#listeners.add(match, fn);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    this.#finish(
      new StrataError('closed', 'subscribe: the subscription is closed', {
        operation: 'subscribe',
      }),
      true,
    );
    await this.#applier.idle();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #state(connected: boolean, isUp: boolean): SubscriptionStatus['state'] {
    if (this.#final !== undefined) return 'closed';
    if (this.#trouble !== undefined) return 'stalled';
    if (!connected) return 'connecting';
    return isUp && this.#wasReady ? 'live' : 'syncing';
  }

  #makeApplier(): Applier {
    return new Applier({
      local: this.#side,
      prefix: this.#options.prefix ?? '',
      env: this.#env,
      timeoutMs: this.#limits.applyTimeoutMs,
      staged: (bytes) => this.#connection?.step({ type: 'staged', bytes }),
      moved: (at, groups) => {
        this.#moved(at);
        this.#connection?.step({ type: 'applied', rev: at.rev, groups });
      },
      listens: () => this.#listeners.size > 0,
      changed: (changes) => this.#listeners.emit(changes, this.#side.toPublic),
      settled: () => this.#checkReady(),
      failed: (error) => {
        this.#trouble = error;
        this.#report(error);
        this.#connection?.step({ type: 'fares', code: error.code });
      },
      recovered: () => {
        this.#trouble = undefined;
        this.#connection?.step({ type: 'fares', code: '' });
      },
      lostTrack: () =>
        this.#leave('another writer has moved the cursor, or has cleared the local store'),
      gaveUp: (error) => this.#finish(error),
    });
  }

  /** Connects, and connects again, until something final happens. */
  async #run(): Promise<void> {
    for (let tries = 0; this.#final === undefined; tries++) {
      const end = await this.#connectOnce();
      if (this.#final !== undefined) return;
      if (this.#wasGood()) tries = 0;
      this.#disconnected();
      if (end === undefined) continue;
      if (this.#isFinal(end.error)) return this.#finish(end.error);
      this.#report(end.error);
      const backoff = this.#options.reconnect;
      await this.#pause.sleep(
        end.spreadMs !== undefined
          ? this.#env.random() * end.spreadMs
          : backoffMs(this.#env, tries, typeof backoff === 'object' ? backoff : {}),
      );
    }
  }

  /** A server that greets and at once fails is not called again at once. */
  #wasGood(): boolean {
    if (this.#greeting === undefined) return false;
    return this.#greetedAtRev !== this.#at?.rev || this.#clock.ageMs > GOOD_CONNECTION_MS;
  }

  /** Runs one connection to its end. */
  async #connectOnce(): Promise<ConnectionEnd | undefined> {
    try {
      await this.#checked;
      await this.#applier.idle();
      const known = this.#applier.record?.record;
      const stored = await this.#applier.load();
      const copy = stored && untold(stored.record, known, this.#at);
      if (copy === undefined) this.#cleared();
      else this.#moved(copy.at);
      const { token, storeId = '', prefix = '' } = this.#options;
      const shown = typeof token === 'function' ? await token() : (token ?? '');
      if (this.#final !== undefined) return undefined;
      const { stageBytes, ...limits } = this.#limits;
      this.#connection = new ClientConnection({
        transport: 'connect' in this.#to ? this.#to.connect() : this.#to,
        env: this.#env,
        asking: { storeId, token: shown, prefix, clientId: this.#clientId },
        copy,
        codecName: this.#side.codecName,
        values: this.#side.values,
        ...limits,
        stageBytes: canStage(this.#side) ? stageBytes : Number.POSITIVE_INFINITY,
        ready: (ready) => this.#greeted(ready, copy?.sourceId),
        stage: (part) => this.#check((applier) => applier.push({ part })),
        apply: (group) => this.#take(group, stored?.version),
        head: (rev) => {
          this.#headRev = rev;
          // Whoever fails to look is told by the next group.
          this.#applier.look().catch(() => undefined);
        },
        range: (body) => this.#comparison.take(body),
        terms: (terms) => this.#writes.told(terms),
        answer: (answer) => this.#writes.answered(answer),
      });
      this.#comparison.begin(copy, this.#connection);
      return await this.#connection.ended;
    } catch (error) {
      return { error: asSubscribeError(error) };
    } finally {
      this.#comparison.end();
    }
  }

  #greeted(ready: MessageOf<'ready'>, copyOf: string | undefined): void {
    const { sourceId, head, fresh } = ready;
    this.#greeting = ready;
    this.#clock.told(ready.nowMs);
    this.#greetedAtRev = this.#at?.rev ?? 0;
    this.#counts.connections++;
    if (!fresh) this.#counts.resumes++;
    this.#headRev = head?.rev ?? 0;
    this.#target ??= head;
    this.#readyTimer?.cancel();
    const connection = this.#connection;
    this.#checked =
      copyOf === sourceId
        ? Promise.resolve(true)
        : this.#applier.checkSource(sourceId).then(
            () => true,
            (error: unknown) => {
              connection?.step({ type: 'leave', error: asSubscribeError(error) });
              return false;
            },
          );
    this.#writes.greeted(ready, (frame) => connection?.send(frame));
    if (!fresh) this.#checkReady();
  }

  #take(group: Group, askedOver: string | undefined): void {
    const { sourceId = '', scope = '' } = this.#greeting ?? {};
    const origin = { sourceId, scope, askedOver };
    if (group.fresh) this.#counts.snapshots++;
    if (group.compared) this.#counts.reconciles++;
    this.#check((applier) => applier.push({ group: { ...group, origin } }));
  }

  /** Does something once the source is known to be the right one. */
  #check(then: (applier: Applier) => void): void {
    this.#checked.then((isRight) => {
      if (isRight) then(this.#applier);
    });
  }

  #moved(at: Position): void {
    this.#at = at;
    this.#headRev = Math.max(this.#headRev, at.rev);
    this.#writes.reached(at);
  }

  /** The copy is gone, or was never there. */
  #cleared(): void {
    this.#at = undefined;
    this.#writes.reached(undefined);
  }

  /** Ready is what was the head when the first server answered, or any state of a newer epoch. */
  #checkReady(): void {
    const target = this.#target;
    const at = this.#at;
    if (this.#wasReady || target === undefined || at === undefined) return;
    if (at.epoch === target.epoch && at.rev < target.rev) return;
    this.#wasReady = true;
    this.#settleReady?.resolve();
    try {
      this.#options.onReady?.();
    } catch (error) {
      this.#report(error);
    }
  }

  #noAnswer(): void {
    this.#settleReady?.reject(
      new StrataError(
        'unavailable',
        `subscribe: no server has answered within ${this.#limits.timeoutMs} ms; it is tried again`,
        { operation: 'subscribe', cause: this.#lastError },
      ),
    );
  }

  #leave(why: string): void {
    const error = new StrataError('unavailable', `subscribe: ${why}`, { operation: 'subscribe' });
    this.#connection?.step({ type: 'leave', error });
  }

  #disconnected(): void {
    const { receivedBytes = 0, sentBytes = 0 } = this.#connection ?? {};
    this.#counts.receivedBytes += receivedBytes;
    this.#counts.sentBytes += sentBytes;
    this.#connection = undefined;
    this.#greeting = undefined;
    this.#writes.lost();
  }

  #isFinal(error: StrataError): boolean {
    if (!('connect' in this.#to) || this.#options.reconnect === false) return true;
    if (error.code === 'denied') return typeof this.#options.token !== 'function';
    return FINAL.has(error.code) && !error.retryable;
  }

  #finish(error: StrataError, asked = false): void {
    if (this.#final !== undefined) return;
    this.#final = error;
    if (!asked) this.#report(error);
    this.#readyTimer?.cancel();
    this.#settleReady?.reject(error);
    this.#writes.end(error);
    this.#applier.close();
    this.#connection?.step({ type: 'leave', error });
    this.#disconnected();
    this.#pause.cut();
  }

  #report(error: unknown): void {
    const known = error instanceof Error ? error : new Error(String(error));
    this.#lastError = known;
    try {
      this.#options.onError?.(known);
    } catch (thrown) {
      // Nobody is left to be told; the status still shows it.
      this.#lastError = thrown instanceof Error ? thrown : known;
    }
  }
}
