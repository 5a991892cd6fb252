import { MAX_PIECE_BYTES, type MessageOf } from './protocol.ts';
import { CLOSE, malformed, ProtocolError } from './wire.ts';

/** Puts a value together that comes in pieces; the operation that needs it follows them. */
export class Pieces {
  readonly #maxBytes: number;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes waiting. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A piece at offset 0 begins a value, whatever was there; the others must follow on. */
  add({ offset, bytes }: MessageOf<'piece'>): void {
    if (offset === 0) this.clear();
    if (offset !== this.#bytes || offset % MAX_PIECE_BYTES !== 0)
      throw new ProtocolError(CLOSE.protocol, 'a piece out of order');
    if (bytes.length === 0 || bytes.length > MAX_PIECE_BYTES)
      throw malformed('a piece of odd size');
    this.#bytes += bytes.length;
    if (this.#bytes > this.#maxBytes)
      throw new ProtocolError(CLOSE.tooBig, `a value has more than ${this.#maxBytes} bytes`);
    this.#pieces.push(bytes);
  }

  /** The value, once; `undefined` when no pieces came. */
  take(): Uint8Array | undefined {
    if (this.#pieces.length === 0) return undefined;
    const value = new Uint8Array(this.#bytes);
    let at = 0;
    for (const piece of this.#pieces) {
      value.set(piece, at);
      at += piece.length;
    }
    this.clear();
    return value;
  }

  clear(): void {
    this.#pieces = [];
    this.#bytes = 0;
  }
}
