import { StrataError, type StrataErrorCode } from '../store/errors.ts';
import { Pieces } from './pieces.ts';
import {
  decodeMessage,
  MAX_HELLO_BYTES,
  MAX_WRITES,
  type Message,
  type MessageOf,
  OLDEST_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
} from './protocol.ts';
import { CLOSE, ProtocolError } from './wire.ts';
import { readWrites, type WireWrite } from './writes.ts';

/** A writer's name becomes part of a key. */
const MAX_WRITER_UNITS = 64;

/**
 * Why a connection ended, as counted by the publication: `turned-away` waited too long for its turn
 * to read; `no-progress` took nothing in; `protocol-error`, `malformed` and `too-large` sent frames
 * that no subscriber sends; `refused` asked for what there is not; `overloaded` is one too many.
 */
export type EndReason =
  | 'closed-by-subscriber'
  | 'lost'
  | 'going-away'
  | 'handshake-timeout'
  | 'turned-away'
  | 'no-progress'
  | 'protocol-error'
  | 'malformed'
  | 'too-large'
  | 'denied'
  | 'rights-expired'
  | 'refused'
  | 'overloaded'
  | 'failed';

export interface ServerSessionLimits {
  /** A connection that has not asked for a store by then is closed. */
  readonly handshakeTimeoutMs: number;
  readonly heartbeatMs: number;
  /** A subscriber that acknowledges nothing at all for so long is gone. */
  readonly ackTimeoutMs: number;
  /** One that takes in nothing of what waits for it for so long is given up. */
  readonly progressTimeoutMs: number;
  /** After the end of a long group, or while its own store fails, a subscriber has so long instead. */
  readonly graceMs: number;
  /** Most bytes on their way to one subscriber, whatever it offers. */
  readonly creditBytes: number;
  /** Largest write of a subscriber, in bytes, all its frames together. */
  readonly writeBytes: number;
  /** Most writes of one subscriber that wait to be applied; with four times `writeBytes` together. */
  readonly pendingWrites: number;
}

/** A write of a subscriber as its number tells it from all others; see `attempt`. */
export type Attempt = Omit<MessageOf<'attempt'>, 'type'>;

/** Writes that a subscriber has asked for. */
export interface AskedWrites {
  readonly id: number;
  readonly writes: readonly WireWrite[];
  readonly attempt?: Attempt;
}

export type ServerEvent =
  | { readonly type: 'frame'; readonly frame: Uint8Array }
  /** The subscription stands. */
  | {
      readonly type: 'opened';
      readonly ready: MessageOf<'ready'>;
      /** For a subscriber that knows them. */
      readonly terms?: MessageOf<'terms'>;
      /** Those of the publication, which is known only now. */
      readonly limits: ServerSessionLimits;
      readonly expiresInMs?: number;
    }
  /** It does not. */
  | { readonly type: 'refused'; readonly error: StrataError; readonly reason: EndReason }
  /** Writes were applied or failed. */
  | { readonly type: 'written'; readonly answer: MessageOf<'result'> | MessageOf<'error'> }
  /** A frame of the stream went out. */
  | { readonly type: 'streamed'; readonly bytes: number; readonly endsLongGroup?: boolean }
  /** Steps of a comparison may come from now on, or no longer. */
  | { readonly type: 'comparing'; readonly mayCompare: boolean }
  | { readonly type: 'tick'; readonly headRev: number }
  | { readonly type: 'leaving'; readonly spreadMs: number; readonly reason: EndReason };

export type ServerEffect =
  | { readonly do: 'send'; readonly message: Message }
  /** Look who asks, and answer with `opened` or `refused`. */
  | { readonly do: 'admit'; readonly hello: MessageOf<'hello'> }
  | ({ readonly do: 'write' } & AskedWrites)
  | { readonly do: 'range'; readonly body: Uint8Array }
  /** There may be credit again. */
  | { readonly do: 'wake' }
  | { readonly do: 'end'; readonly code: number; readonly reason: EndReason };

/**
 * What the server knows of one connection, without any I/O: events in, effects out, time given
 * with each event in ms of a clock that never goes back.
 */
export class ServerSession {
  #limits: ServerSessionLimits;
  readonly #startedMs: number;
  #phase: 'hello' | 'admitting' | 'open' | 'ended' = 'hello';
  #mayWrite = false;
  #mayCompare = false;
  #expiresMs: number = Number.POSITIVE_INFINITY;
  #creditBytes = 0;
  #streamedBytes = 0;
  #takenBytes = 0;
  #ackedRev = 0;
  #heardMs: number;
  #progressMs: number;
  /** Until then it may be busy with a long group. */
  #graceUntilMs = 0;
  #trouble: StrataErrorCode | '' = '';
  #pieces: Pieces;
  #writing: (AskedWrites & { readonly writes: WireWrite[]; bytes: number }) | undefined;
  #knowsTerms = false;
  /** Of the write that comes next. */
  #attempt: Attempt | undefined;
  #lastWriteId = 0;
  /** Bytes of the writes that wait, by id. */
  readonly #pending: Map<number, number> = new Map();
  #pendingBytes = 0;

  constructor(limits: ServerSessionLimits, nowMs: number) {
    this.#limits = limits;
    this.#startedMs = nowMs;
    this.#heardMs = nowMs;
    this.#progressMs = nowMs;
    this.#pieces = new Pieces(limits.writeBytes);
  }

  get isOpen(): boolean {
    return this.#phase === 'open';
  }

  /** Whether another frame of the stream may go out. */
  get mayStream(): boolean {
    return this.#phase === 'open' && this.#streamedBytes - this.#takenBytes < this.#creditBytes;
  }

  get streamedBytes(): number {
    return this.#streamedBytes;
  }

  /** The newest revision that the subscriber holds for sure. */
  get ackedRev(): number {
    return this.#ackedRev;
  }

  /** Whether nothing that the subscriber wrote is still to be answered. */
  get isAnswered(): boolean {
    return this.#pending.size === 0 && this.#writing === undefined;
  }

  /** The code with which the subscriber's own store fails, else empty. */
  get trouble(): string {
    return this.#trouble;
  }

  /** When the next tick is due, in ms from now: at a heartbeat, or when the rights end. */
  dueMs(nowMs: number): number {
    return Math.min(this.#limits.heartbeatMs, Math.max(1, this.#expiresMs - nowMs));
  }

  step(event: ServerEvent, nowMs: number): readonly ServerEffect[] {
    if (this.#phase === 'ended') return [];
    switch (event.type) {
      case 'frame':
        return this.#frame(event.frame, nowMs);
      case 'opened':
        return this.#opened(event, nowMs);
      case 'refused':
        return this.#refused(event.error, event.reason);
      case 'written':
        this.#pendingBytes -= this.#pending.get(event.answer.id) ?? 0;
        this.#pending.delete(event.answer.id);
        return [{ do: 'send', message: event.answer }];
      case 'streamed':
        if (this.#streamedBytes === this.#takenBytes) this.#progressMs = nowMs;
        this.#streamedBytes += event.bytes;
        if (event.endsLongGroup) this.#graceUntilMs = nowMs + this.#limits.graceMs;
        return [];
      case 'comparing':
        this.#mayCompare = event.mayCompare;
        return [];
      case 'tick':
        return this.#tick(event.headRev, nowMs);
      case 'leaving':
        return this.#leave(event.spreadMs, event.reason);
    }
  }

  /** The connection is gone. */
  closed(): void {
    this.#phase = 'ended';
  }

  #end(code: number, reason: EndReason): ServerEffect[] {
    this.#phase = 'ended';
    return [{ do: 'wake' }, { do: 'end', code, reason }];
  }

  /** Only who has been greeted understands when to come back. */
  #leave(spreadMs: number, reason: EndReason): ServerEffect[] {
    const code = reason === 'going-away' ? CLOSE.goingAway : CLOSE.tryLater;
    const told: ServerEffect[] =
      this.#phase === 'open' ? [{ do: 'send', message: { type: 'goaway', spreadMs } }] : [];
    return [...told, ...this.#end(code, reason)];
  }

  #frame(frame: Uint8Array, nowMs: number): readonly ServerEffect[] {
    try {
      if (this.#phase !== 'open' && frame.length > MAX_HELLO_BYTES)
        throw new ProtocolError(CLOSE.tooBig, 'the first frame is too large');
      return this.#message(decodeMessage(frame), nowMs);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return [
        { do: 'send', message: errorMessage(0, error) },
        ...this.#end(error.closeCode, breachOf(error.closeCode) ?? 'protocol-error'),
      ];
    }
  }

  #message(message: Message, nowMs: number): readonly ServerEffect[] {
    if (this.#phase === 'hello') {
      if (message.type !== 'hello') throw outOfOrder(message.type);
      return this.#hello(message);
    }
    if (this.#phase !== 'open') throw outOfOrder(message.type);
    this.#heardMs = nowMs;
    switch (message.type) {
      case 'ack':
        return this.#ack(message, nowMs);
      case 'status':
        this.#trouble = message.code.slice(0, 32) as StrataErrorCode | '';
        return [];
      case 'piece':
        // Whoever may not write is told so at the write itself; nothing is kept until then.
        if (!this.#mayWrite) return [];
        this.#pieces.add(message);
        this.#checkWriteBytes((this.#writing?.bytes ?? 0) + this.#pieces.bytes);
        return [];
      case 'range':
        if (!this.#mayCompare) throw outOfOrder(message.type);
        return [{ do: 'range', body: message.body }];
      case 'attempt':
        if (!this.#knowsTerms || this.#writing !== undefined) throw outOfOrder(message.type);
        if (message.writer === '' || message.writer.length > MAX_WRITER_UNITS)
          throw new ProtocolError(CLOSE.malformed, 'the name of a writer is empty or too long');
        this.#attempt = message;
        return [];
      case 'write':
        return this.#write(message);
      default:
        throw outOfOrder(message.type);
    }
  }

  #hello(hello: MessageOf<'hello'>): readonly ServerEffect[] {
    const { oldestVersion, newestVersion } = hello;
    if (newestVersion < OLDEST_PROTOCOL_VERSION || oldestVersion > PROTOCOL_VERSION)
      return this.#refused(
        new StrataError(
          'unsupported',
          `subscribe: the subscriber speaks the protocol versions ${oldestVersion} to ${newestVersion}, the server ${OLDEST_PROTOCOL_VERSION} to ${PROTOCOL_VERSION}`,
          { operation: 'subscribe' },
        ),
        'refused',
      );
    this.#phase = 'admitting';
    this.#creditBytes = hello.creditBytes;
    return [{ do: 'admit', hello }];
  }

  #opened(
    { ready, terms, limits, expiresInMs }: Extract<ServerEvent, { type: 'opened' }>,
    nowMs: number,
  ): readonly ServerEffect[] {
    this.#phase = 'open';
    this.#limits = limits;
    this.#pieces = new Pieces(limits.writeBytes);
    this.#creditBytes = Math.min(this.#creditBytes, limits.creditBytes);
    this.#mayWrite = ready.mayWrite;
    this.#knowsTerms = terms !== undefined;
    this.#heardMs = nowMs;
    this.#progressMs = nowMs;
    if (expiresInMs !== undefined) this.#expiresMs = nowMs + expiresInMs;
    const send = (message: Message): ServerEffect => ({ do: 'send', message });
    return terms === undefined ? [send(ready)] : [send(ready), send(terms)];
  }

  #refused(error: StrataError, reason: EndReason): readonly ServerEffect[] {
    const code = error.retryable
      ? CLOSE.tryLater
      : reason === 'failed'
        ? CLOSE.internal
        : CLOSE.policy;
    return [{ do: 'send', message: errorMessage(0, error) }, ...this.#end(code, reason)];
  }

  #ack({ rev, bytes }: MessageOf<'ack'>, nowMs: number): readonly ServerEffect[] {
    if (bytes > this.#streamedBytes || bytes < this.#takenBytes)
      throw new ProtocolError(CLOSE.protocol, 'an ack of bytes that were never sent');
    if (bytes > this.#takenBytes) this.#progressMs = nowMs;
    this.#takenBytes = bytes;
    this.#ackedRev = rev;
    return [{ do: 'wake' }];
  }

  #write(message: MessageOf<'write'>): readonly ServerEffect[] {
    const { id } = message;
    const attempt = this.#attempt;
    this.#attempt = undefined;
    const writing = this.#writing ?? { id, writes: [], bytes: 0, ...(attempt && { attempt }) };
    if (writing.id !== id || (this.#writing === undefined && id <= this.#lastWriteId))
      throw new ProtocolError(CLOSE.protocol, 'writes out of order');
    this.#writing = message.last ? undefined : writing;
    if (message.last) this.#lastWriteId = id;
    if (!this.#mayWrite)
      return message.last ? refuseWrite(id, 'denied', 'write: this connection may not write') : [];
    const pieced = this.#pieces.take();
    writing.bytes += message.writes.length + (pieced?.length ?? 0);
    this.#checkWriteBytes(writing.bytes);
    for (const write of readWrites(message.writes, pieced)) writing.writes.push(write);
    if (writing.writes.length > MAX_WRITES)
      throw new ProtocolError(CLOSE.tooBig, `more than ${MAX_WRITES} writes`);
    if (!message.last) return [];
    const { pendingWrites, writeBytes } = this.#limits;
    if (this.#pending.size >= pendingWrites || this.#pendingBytes > writeBytes * 3)
      return refuseWrite(id, 'overloaded', 'write: too many writes wait');
    this.#pending.set(id, writing.bytes);
    this.#pendingBytes += writing.bytes;
    const { writes } = writing;
    return [{ do: 'write', id, writes, ...(writing.attempt && { attempt: writing.attempt }) }];
  }

  #checkWriteBytes(bytes: number): void {
    if (bytes > this.#limits.writeBytes)
      throw new ProtocolError(
        CLOSE.tooBig,
        `a write has more than ${this.#limits.writeBytes} bytes`,
      );
  }

  #tick(headRev: number, nowMs: number): readonly ServerEffect[] {
    const { handshakeTimeoutMs, ackTimeoutMs, progressTimeoutMs, graceMs } = this.#limits;
    if (this.#phase !== 'open')
      return nowMs - this.#startedMs >= handshakeTimeoutMs
        ? this.#end(CLOSE.policy, 'handshake-timeout')
        : [];
    if (nowMs >= this.#expiresMs) return this.#end(CLOSE.policy, 'rights-expired');
    const waits = this.#streamedBytes > this.#takenBytes;
    const allowedMs = this.#trouble === '' ? progressTimeoutMs : graceMs;
    if (
      nowMs - this.#heardMs >= ackTimeoutMs ||
      (waits && nowMs >= this.#graceUntilMs && nowMs - this.#progressMs >= allowedMs)
    )
      return this.#end(CLOSE.tryLater, 'no-progress');
    return [{ do: 'send', message: { type: 'live', rev: headRev } }];
  }
}

/** What frames were like for which a connection is closed with a code. */
export function breachOf(code: number): EndReason | undefined {
  if (code === CLOSE.malformed) return 'malformed';
  if (code === CLOSE.tooBig) return 'too-large';
  return code === CLOSE.protocol || code === CLOSE.notBinary ? 'protocol-error' : undefined;
}

function outOfOrder(type: string): ProtocolError {
  return new ProtocolError(CLOSE.protocol, `a message '${type}' that may not come now`);
}

function refuseWrite(id: number, code: StrataErrorCode, message: string): readonly ServerEffect[] {
  const retryable = code === 'overloaded';
  return [
    { do: 'send', message: { type: 'error', id, code, retryable, rev: 0, key: '', message } },
  ];
}

/** An error as a message; longer texts are cut. */
export function errorMessage(id: number, error: StrataError, rev = 0): MessageOf<'error'> {
  const { code, retryable, key = '', message } = error;
  return { type: 'error', id, code, retryable, rev, key, message: message.slice(0, 2_000) };
}
