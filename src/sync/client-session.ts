import { StrataError, type StrataErrorCode } from '../store/errors.ts';
import type { Position } from '../store/primitives.ts';
import type { Group } from './apply-group.ts';
import { closedBy, errorOf, goneAway, otherCodec, tooLarge, unavailable } from './client-errors.ts';
import type { Block, StagedPart } from './group-stage.ts';
import type { Operation } from './operations.ts';
import { readOperations, type ValueTaker } from './operations-reader.ts';
import { Pieces } from './pieces.ts';
import {
  decodeMessage,
  LEAST_CREDIT_BYTES,
  type Message,
  type MessageOf,
  OLDEST_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
  RANGES_VERSION,
} from './protocol.ts';
import type { TransportClose } from './transports/transport.ts';
import { CLOSE, malformed, ProtocolError } from './wire.ts';

export interface ClientSessionInit {
  /** Where the local copy stands, when it is one. */
  readonly copy:
    | { readonly sourceId: string; readonly scope: string; readonly at: Position }
    | undefined;
  /** Of the local store, where it has a name. */
  readonly codecName: string | undefined;
  readonly values: ValueTaker<unknown>;
  /** Most bytes the server may have on their way. */
  readonly creditBytes: number;
  /** Largest group taken in, in bytes of its frames. */
  readonly groupBytes: number;
  /** A group larger than this, in bytes of its frames or in keys, is staged; infinite where it cannot be. */
  readonly stageBytes: number;
  readonly stageKeys: number;
  /** The server must have answered within this. */
  readonly connectTimeoutMs: number;
}

/** What the connection asks for. */
export type Asking = Pick<MessageOf<'hello'>, 'storeId' | 'token' | 'prefix' | 'clientId'>;

export type ClientEvent =
  | { readonly type: 'frame'; readonly frame: Uint8Array }
  | { readonly type: 'closed'; readonly how: TransportClose }
  /** So many whole groups became durable, and the copy stands here. */
  | { readonly type: 'applied'; readonly rev: number; readonly groups: number }
  /** A part of a large group became durable. */
  | { readonly type: 'staged'; readonly bytes: number }
  /** The local store fails with a code, or with '' works again. */
  | { readonly type: 'fares'; readonly code: StrataErrorCode | '' }
  /** All keys that differ have been asked for: a group that brings them may come. */
  | { readonly type: 'compared' }
  | { readonly type: 'tick' }
  /** This side ends the connection. */
  | { readonly type: 'leave'; readonly error: StrataError };

export type ClientEffect =
  | { readonly do: 'send'; readonly message: Message }
  | { readonly do: 'ready'; readonly ready: MessageOf<'ready'> }
  | { readonly do: 'stage'; readonly part: StagedPart }
  | { readonly do: 'apply'; readonly group: Group }
  | { readonly do: 'head'; readonly rev: number }
  | { readonly do: 'range'; readonly body: Uint8Array }
  | { readonly do: 'terms'; readonly terms: MessageOf<'terms'> }
  | { readonly do: 'answer'; readonly answer: MessageOf<'result'> | MessageOf<'error'> }
  /** The connection is over; `code` is what the other side is told. */
  | {
      readonly do: 'end';
      readonly code: number;
      readonly error: StrataError;
      /** The server asked to come back within so long. */
      readonly spreadMs?: number;
    };

/** Heartbeats that may be missed before the server counts as gone. */
const MISSED_HEARTBEATS = 2.5;
/** Of the credit: what is staged of a long group is acknowledged in such parts. */
const CREDIT_PARTS = 8;

/** A group that is still coming in. */
interface Staged {
  readonly fresh: boolean;
  readonly compared: boolean;
  readonly from: number;
  parts: number;
  bytes: number;
  /** What is held of it. */
  writes: Operation<unknown>[];
  /** How many keys those are. */
  keys: number;
  blocks: Block[];
  deletes: boolean;
  /** Too large to be held: its parts are handed on as they come. */
  isLarge: boolean;
}

/**
 * What a subscriber knows of one connection, without any I/O: events in, effects out, time given
 * with each event in ms of a clock that never goes back.
 */
export class ClientSession {
  readonly #init: ClientSessionInit;
  readonly #startedMs: number;
  #phase: 'greeting' | 'open' | 'ended' = 'greeting';
  #heartbeatMs = 0;
  #heardMs: number;
  #fresh = false;
  /** Whether ranges may be compared, and whether that is done. */
  #comparison: 'no' | 'possible' | 'done' = 'no';
  /** Where the groups taken in lead to; `undefined` before a snapshot. */
  #reached: Position | undefined;
  #staged: Staged | undefined;
  readonly #pieces: Pieces;
  #takenBytes = 0;
  #unackedBytes = 0;
  /** Bytes of whole groups that are not yet durable, in order. */
  #withheld: number[] = [];
  #appliedRev: number;

  constructor(init: ClientSessionInit, nowMs: number) {
    this.#init = init;
    this.#startedMs = nowMs;
    this.#heardMs = nowMs;
    this.#appliedRev = init.copy?.at.rev ?? 0;
    this.#pieces = new Pieces(init.groupBytes);
  }

  get isOpen(): boolean {
    return this.#phase === 'open';
  }

  /** The first message. */
  hello(asking: Asking): MessageOf<'hello'> {
    const { copy, creditBytes } = this.#init;
    return {
      type: 'hello',
      oldestVersion: OLDEST_PROTOCOL_VERSION,
      newestVersion: PROTOCOL_VERSION,
      ...asking,
      sourceId: copy?.sourceId ?? '',
      scope: copy?.scope ?? '',
      cursor: copy?.at,
      creditBytes,
    };
  }

  step(event: ClientEvent, nowMs: number): readonly ClientEffect[] {
    if (this.#phase === 'ended') return [];
    switch (event.type) {
      case 'frame':
        this.#heardMs = nowMs;
        return this.#frame(event.frame);
      case 'closed':
        return this.#end(CLOSE.normal, closedBy(event.how));
      case 'applied':
        return this.#applied(event.rev, event.groups);
      case 'staged':
        return this.#wasStaged(event.bytes);
      case 'fares':
        return this.#phase === 'open'
          ? [{ do: 'send', message: { type: 'status', code: event.code } }]
          : [];
      case 'compared':
        if (this.#comparison === 'possible') this.#comparison = 'done';
        return [];
      case 'tick':
        return this.#tick(nowMs);
      case 'leave':
        return this.#end(CLOSE.normal, event.error);
    }
  }

  /** When the next tick is due, in ms from now. */
  get tickMs(): number {
    return this.#phase === 'open' ? this.#heartbeatMs / 2 : this.#init.connectTimeoutMs;
  }

  #end(code: number, error: StrataError, spreadMs?: number): readonly ClientEffect[] {
    this.#phase = 'ended';
    return [{ do: 'end', code, error, ...(spreadMs !== undefined && { spreadMs }) }];
  }

  #frame(frame: Uint8Array): readonly ClientEffect[] {
    try {
      return this.#message(decodeMessage(frame), frame.length);
    } catch (error) {
      if (error instanceof ProtocolError) return this.#end(error.closeCode, error);
      // A codec that cannot read a value: no other connection will mend it.
      if (error instanceof StrataError) return this.#end(CLOSE.normal, error);
      throw error;
    }
  }

  #message(message: Message, bytes: number): readonly ClientEffect[] {
    if (message.type === 'error' && message.id === 0)
      return this.#end(CLOSE.normal, errorOf(message));
    if (this.#phase === 'greeting') {
      if (message.type !== 'ready') throw outOfOrder(message.type);
      return this.#ready(message);
    }
    switch (message.type) {
      case 'piece':
        this.#pieces.add(message);
        return this.#take(bytes);
      case 'batch':
        return this.#batch(message, bytes);
      case 'range':
        if (this.#comparison !== 'possible') throw outOfOrder(message.type);
        return [{ do: 'range', body: message.body }];
      case 'live':
        return [{ do: 'head', rev: message.rev }, ...this.#ack()];
      case 'result':
      case 'error':
        return [{ do: 'answer', answer: message }];
      case 'terms':
        return [{ do: 'terms', terms: message }];
      case 'goaway':
        return this.#end(CLOSE.normal, goneAway(), message.spreadMs);
      default:
        throw outOfOrder(message.type);
    }
  }

  #ready(ready: MessageOf<'ready'>): readonly ClientEffect[] {
    const { copy, codecName } = this.#init;
    const { version, sourceId, head, fresh, codec } = ready;
    if (version < OLDEST_PROTOCOL_VERSION || version > PROTOCOL_VERSION || head === undefined)
      throw new ProtocolError(CLOSE.protocol, `the server chose the protocol version ${version}`);
    if (!fresh && (copy === undefined || copy.sourceId !== sourceId))
      throw new ProtocolError(CLOSE.protocol, 'the server goes on from where this copy is not');
    if (codecName !== undefined && codec !== 'raw' && codec !== codecName)
      return this.#end(CLOSE.normal, otherCodec(codec, codecName));
    this.#phase = 'open';
    this.#fresh = fresh;
    this.#reached = fresh ? undefined : copy?.at;
    if (fresh && version >= RANGES_VERSION && copy?.sourceId === sourceId)
      this.#comparison = 'possible';
    // Anything below a second is for tests, and ticks must not spin.
    this.#heartbeatMs = Math.max(50, ready.heartbeatMs);
    return [{ do: 'ready', ready }];
  }

  #batch(batch: MessageOf<'batch'>, bytes: number): readonly ClientEffect[] {
    const staged = this.#stage(batch);
    const { values, groupBytes } = this.#init;
    const pieced = this.#pieces.take();
    const before = staged.writes.length;
    const isUsed = readOperations(batch.operations, pieced, values, staged.writes);
    // A group that was given up in the middle of a value leaves its pieces to the next one.
    if (!isUsed && batch.part > 0) throw malformed('a value in pieces that nobody asked for');
    for (let i = before; i < staged.writes.length; i++) {
      const operation = staged.writes[i] as Operation<unknown>;
      staged.keys += operation.type === 'sets' ? operation.count : 1;
      staged.deletes ||= operation.type === 'delete';
    }
    staged.parts++;
    staged.bytes += bytes;
    if (staged.bytes > groupBytes) return this.#end(CLOSE.normal, tooLarge(groupBytes));
    const { end } = batch;
    const block = { operations: batch.operations, pieced: isUsed ? pieced : undefined };
    const large = this.#hold(staged, block, end === undefined ? bytes : 0);
    if (end === undefined) return large.length > 0 ? large : this.#take(bytes);
    const { fresh, compared, from } = staged;
    const reached = fresh || compared ? undefined : this.#reached;
    if (end.rev < from || (reached !== undefined && end.epoch !== reached.epoch))
      throw new ProtocolError(CLOSE.protocol, 'a group that ends in another epoch');
    this.#staged = undefined;
    this.#fresh = false;
    this.#comparison = 'no';
    this.#withheld.push(this.#unackedBytes + bytes);
    this.#unackedBytes = 0;
    // A group may end below what is there already: it then brings nothing, and the copy stays where it is.
    const isPast = reached !== undefined && end.rev <= reached.rev;
    const to = isPast ? reached : end;
    const writes = isPast ? [] : staged.writes;
    this.#reached = to;
    const { deletes, isLarge } = staged;
    const where = isLarge && !isPast ? { staged: true as const } : {};
    const group = { fresh, ...(compared && { compared }), from, to, writes, deletes, ...where };
    return [...large, { do: 'apply', group }];
  }

  /** Keeps a part in memory, or hands on what there is of a group that is too large for that. */
  #hold(staged: Staged, block: Block, bytes: number): readonly ClientEffect[] {
    const { stageBytes, stageKeys } = this.#init;
    if (stageBytes === Number.POSITIVE_INFINITY) return [];
    staged.blocks.push(block);
    const first = !staged.isLarge;
    if (first && staged.bytes <= stageBytes && staged.keys <= stageKeys) return [];
    const part = { first, blocks: staged.blocks, keys: staged.keys, bytes };
    staged.isLarge = true;
    staged.blocks = [];
    staged.writes = [];
    staged.keys = 0;
    return [{ do: 'stage', part }];
  }

  /** The group that a part belongs to. A first part begins anew, whatever was there before. */
  #stage({ fresh, from, part }: MessageOf<'batch'>): Staged {
    if (part === 0) {
      const compared = this.#fresh && !fresh && this.#comparison === 'done';
      if (this.#fresh && !fresh && !compared)
        throw new ProtocolError(CLOSE.protocol, 'no snapshot came');
      if (!fresh && !compared && (this.#reached === undefined || from > this.#reached.rev))
        throw new ProtocolError(CLOSE.protocol, 'a gap between groups');
      const held = { writes: [], keys: 0, blocks: [], deletes: false, isLarge: false };
      this.#staged = { fresh, compared, from, parts: 0, bytes: 0, ...held };
    }
    const staged = this.#staged;
    if (
      staged === undefined ||
      staged.parts !== part ||
      staged.from !== from ||
      staged.fresh !== fresh
    )
      throw new ProtocolError(CLOSE.protocol, 'a part of a group out of order');
    return staged;
  }

  /** Bytes of an unfinished group: acknowledged as taken in, or a long group would use up the credit. */
  #take(bytes: number): readonly ClientEffect[] {
    this.#unackedBytes += bytes;
    const partBytes = Math.min(this.#init.creditBytes / CREDIT_PARTS, LEAST_CREDIT_BYTES);
    if (this.#unackedBytes < partBytes) return [];
    this.#takenBytes += this.#unackedBytes;
    this.#unackedBytes = 0;
    return this.#ack();
  }

  #wasStaged(bytes: number): readonly ClientEffect[] {
    if (this.#phase !== 'open') return [];
    if (this.#staged !== undefined) return this.#take(bytes);
    // The end of the group has come meanwhile: nothing else would tell of these.
    this.#takenBytes += bytes;
    return this.#ack();
  }

  #applied(rev: number, groups: number): readonly ClientEffect[] {
    this.#appliedRev = rev;
    for (const bytes of this.#withheld.splice(0, groups)) this.#takenBytes += bytes;
    return this.#phase === 'open' ? this.#ack() : [];
  }

  #ack(): readonly ClientEffect[] {
    return [
      { do: 'send', message: { type: 'ack', rev: this.#appliedRev, bytes: this.#takenBytes } },
    ];
  }

  #tick(nowMs: number): readonly ClientEffect[] {
    const silentMs = nowMs - this.#heardMs;
    if (this.#phase === 'greeting' && nowMs - this.#startedMs >= this.#init.connectTimeoutMs)
      return this.#end(CLOSE.normal, unavailable('the server did not answer'));
    if (this.#phase === 'open' && silentMs >= this.#heartbeatMs * MISSED_HEARTBEATS)
      return this.#end(
        CLOSE.normal,
        unavailable(`nothing was heard from the server for ${Math.round(silentMs)} ms`),
      );
    return [];
  }
}

function outOfOrder(type: string): ProtocolError {
  return new ProtocolError(CLOSE.protocol, `a message '${type}' that may not come now`);
}
