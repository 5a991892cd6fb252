import { StrataError, type StrataErrorCode } from '../store/errors.ts';
import { breachOf, type EndReason } from './end-reason.ts';
import {
  type AskedWrites,
  IncomingWrites,
  type TakenWrites,
  type WriteLimits,
} from './incoming-writes.ts';
import {
  decodeMessage,
  MAX_HELLO_BYTES,
  type Message,
  type MessageOf,
  OLDEST_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
} from './protocol.ts';
import { CLOSE, ProtocolError } from './wire.ts';

/** Between two heartbeats, so many frames may come that neither take in nor write anything. */
const MAX_IDLE_FRAMES = 10_000;

export interface ServerSessionLimits extends WriteLimits {
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
  /** Writes may do more or less from now on, or longer. */
  | {
      readonly type: 'granted';
      readonly mayWrite: boolean;
      readonly expiresInMs: number | undefined;
      readonly terms?: MessageOf<'terms'>;
    }
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
  /** Since something came that matters. */
  #idleFrames = 0;
  #trouble: StrataErrorCode | '' = '';
  readonly #writes: IncomingWrites;
  #knowsTerms = false;

  constructor(limits: ServerSessionLimits, nowMs: number) {
    this.#limits = limits;
    this.#startedMs = nowMs;
    this.#heardMs = nowMs;
    this.#progressMs = nowMs;
    this.#writes = new IncomingWrites(limits);
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
    return this.#writes.isAnswered;
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
        this.#writes.answered(event.answer.id);
        return [{ do: 'send', message: event.answer }];
      case 'streamed':
        if (this.#streamedBytes === this.#takenBytes) this.#progressMs = nowMs;
        this.#streamedBytes += event.bytes;
        if (event.endsLongGroup) this.#graceUntilMs = nowMs + this.#limits.graceMs;
        return [];
      case 'comparing':
        this.#mayCompare = event.mayCompare;
        return [];
      case 'granted':
        this.#writes.mayWrite = event.mayWrite;
        this.#expiresMs = nowMs + (event.expiresInMs ?? Number.POSITIVE_INFINITY);
        return event.terms === undefined ? [] : [{ do: 'send', message: event.terms }];
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
    if (++this.#idleFrames > MAX_IDLE_FRAMES)
      throw new ProtocolError(CLOSE.policy, 'frames without end that bring nothing');
    switch (message.type) {
      case 'ack':
        return this.#ack(message, nowMs);
      case 'status':
        this.#trouble = message.code.slice(0, 32) as StrataErrorCode | '';
        return [];
      case 'piece':
        this.#writes.piece(message);
        return [];
      case 'range':
        if (!this.#mayCompare) throw outOfOrder(message.type);
        return [{ do: 'range', body: message.body }];
      case 'attempt':
        if (!this.#knowsTerms) throw outOfOrder(message.type);
        this.#writes.attempt(message);
        return [];
      case 'write':
        if (message.last) this.#idleFrames = 0;
        return written(this.#writes.take(message));
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
    this.#writes.setLimits(limits);
    this.#creditBytes = Math.min(this.#creditBytes, limits.creditBytes);
    this.#writes.mayWrite = ready.mayWrite;
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
    if (bytes > this.#takenBytes) {
      this.#progressMs = nowMs;
      this.#idleFrames = 0;
    }
    this.#takenBytes = bytes;
    this.#ackedRev = rev;
    return [{ do: 'wake' }];
  }

  #tick(headRev: number, nowMs: number): readonly ServerEffect[] {
    const { handshakeTimeoutMs, ackTimeoutMs, progressTimeoutMs, graceMs } = this.#limits;
    if (this.#phase !== 'open')
      return nowMs - this.#startedMs >= handshakeTimeoutMs
        ? this.#end(CLOSE.policy, 'handshake-timeout')
        : [];
    this.#idleFrames = 0;
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

function written(taken: TakenWrites | undefined): readonly ServerEffect[] {
  if (taken === undefined) return [];
  return 'refused' in taken
    ? [{ do: 'send', message: taken.refused }]
    : [{ do: 'write', ...taken.asked }];
}

function outOfOrder(type: string): ProtocolError {
  return new ProtocolError(CLOSE.protocol, `a message '${type}' that may not come now`);
}

/** An error as a message; longer texts are cut. */
export function errorMessage(id: number, error: StrataError, rev = 0): MessageOf<'error'> {
  const { code, retryable, key = '', message } = error;
  return { type: 'error', id, code, retryable, rev, key, message: message.slice(0, 2_000) };
}
