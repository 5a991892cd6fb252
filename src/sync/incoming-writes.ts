import type { StrataErrorCode } from '../store/errors.ts';
import { Pieces } from './pieces.ts';
import { MAX_WRITES, type MessageOf } from './protocol.ts';
import { CLOSE, ProtocolError } from './wire.ts';
import { readWrites, type WireWrite } from './writes.ts';

/** A write of a subscriber as its number tells it from all others; see the message. */
export type Attempt = Omit<MessageOf<'attempt'>, 'type'>;

/** Writes that a subscriber has asked for. */
export interface AskedWrites {
  readonly id: number;
  readonly writes: readonly WireWrite[];
  readonly attempt?: Attempt;
}

export interface WriteLimits {
  /** Largest write of a subscriber, in bytes, all its frames together. */
  readonly writeBytes: number;
  /** Most writes of one subscriber that wait to be applied; with four times `writeBytes` together. */
  readonly pendingWrites: number;
}

/** Writes that are whole, or the answer to those that are refused at once. */
export type TakenWrites =
  | { readonly asked: AskedWrites }
  | { readonly refused: MessageOf<'error'> };

/** Writes of which frames are still to come. */
interface Incoming {
  readonly asked: AskedWrites & { readonly writes: WireWrite[] };
  bytes: number;
  /** Something of it was not taken: it is refused whole, whatever may be written by its end. */
  isRefused: boolean;
}

/** A writer's name becomes part of a key. */
const MAX_WRITER_UNITS = 64;

/** Puts the writes of one subscriber together from their frames, and counts those that wait. */
export class IncomingWrites {
  #limits: WriteLimits;
  /** Made for the first piece: most connections never write. */
  #pieces: Pieces | undefined;
  #writing: Incoming | undefined;
  /** A piece of the write that comes was not taken. */
  #lacksPiece = false;
  /** Of the write that comes next. */
  #attempt: Attempt | undefined;
  #lastId = 0;
  /** Bytes of the writes that wait, by id. */
  #pending: Map<number, number> | undefined;
  #pendingBytes = 0;
  mayWrite = false;

  constructor(limits: WriteLimits) {
    this.#limits = limits;
  }

  /** Of a connection that has said nothing yet. */
  setLimits(limits: WriteLimits): void {
    this.#limits = limits;
    this.#pieces = undefined;
  }

  /** Whether nothing is still to be answered. */
  get isAnswered(): boolean {
    return !this.#pending?.size && this.#writing === undefined;
  }

  answered(id: number): void {
    this.#pendingBytes -= this.#pending?.get(id) ?? 0;
    this.#pending?.delete(id);
  }

  attempt(attempt: MessageOf<'attempt'>): void {
    if (this.#writing !== undefined)
      throw new ProtocolError(CLOSE.protocol, 'an attempt in the midst of a write');
    if (attempt.writer === '' || attempt.writer.length > MAX_WRITER_UNITS)
      throw new ProtocolError(CLOSE.malformed, 'the name of a writer is empty or too long');
    this.#attempt = attempt;
  }

  piece(message: MessageOf<'piece'>): void {
    // Whoever may not write is told so at the write itself; nothing is kept until then.
    if (!this.mayWrite || this.#lacksPiece) {
      this.#lacksPiece = true;
      return;
    }
    this.#pieces ??= new Pieces(this.#limits.writeBytes);
    this.#pieces.add(message);
    this.#checkBytes((this.#writing?.bytes ?? 0) + this.#pieces.bytes);
  }

  /** Takes a frame; `undefined` until the last of a batch. */
  take(message: MessageOf<'write'>): TakenWrites | undefined {
    const { id } = message;
    const attempt = this.#attempt;
    this.#attempt = undefined;
    const writing = this.#writing ?? {
      asked: { id, writes: [], ...(attempt && { attempt }) },
      bytes: 0,
      isRefused: false,
    };
    const { asked } = writing;
    if (asked.id !== id || (this.#writing === undefined && id <= this.#lastId))
      throw new ProtocolError(CLOSE.protocol, 'writes out of order');
    this.#writing = message.last ? undefined : writing;
    if (message.last) this.#lastId = id;
    const pieced = this.#pieces?.take();
    writing.isRefused ||= !this.mayWrite || this.#lacksPiece;
    this.#lacksPiece = false;
    if (writing.isRefused)
      return message.last
        ? refused(asked, 'denied', 'write: this connection may not write')
        : undefined;
    writing.bytes += message.writes.length + (pieced?.length ?? 0);
    this.#checkBytes(writing.bytes);
    for (const write of readWrites(message.writes, pieced)) asked.writes.push(write);
    if (asked.writes.length > MAX_WRITES)
      throw new ProtocolError(CLOSE.tooBig, `more than ${MAX_WRITES} writes`);
    return message.last ? this.#admit(writing) : undefined;
  }

  #admit({ asked, bytes }: Incoming): TakenWrites {
    const { pendingWrites, writeBytes } = this.#limits;
    this.#pending ??= new Map();
    const pending = this.#pending;
    if (pending.size >= pendingWrites || this.#pendingBytes > writeBytes * 3)
      return refused(asked, 'overloaded', 'write: too many writes wait');
    pending.set(asked.id, bytes);
    this.#pendingBytes += bytes;
    return { asked };
  }

  #checkBytes(bytes: number): void {
    const { writeBytes } = this.#limits;
    if (bytes > writeBytes)
      throw new ProtocolError(CLOSE.tooBig, `a write has more than ${writeBytes} bytes`);
  }
}

/** Who has asked before may have been heard: then the refusal says nothing of the write. */
function refused({ id, attempt }: AskedWrites, why: StrataErrorCode, text: string): TakenWrites {
  const retryable = why === 'overloaded';
  const code = attempt?.again === true ? 'unknown-outcome' : why;
  return { refused: { type: 'error', id, code, retryable, rev: 0, key: '', message: text } };
}
