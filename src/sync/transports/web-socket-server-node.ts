import type { WebSocket } from 'ws';
import { meantCode, sentCode, sentReason } from './close-codes.ts';
import type { Transport, TransportClose, TransportHandlers } from './transport.ts';

/** Told of the drain below this, after more has waited. */
const LOW_BYTES: number = 256 * 1024;

/** One connection of a `ws` server. Reads nothing before `start`. */
export class ServerWebSocket implements Transport {
  readonly #socket: WebSocket;
  #handlers: TransportHandlers | undefined;
  #waiting = false;
  /** The code of a frame that `ws` refused. */
  #breach: number | undefined;
  /** What this side closed with. */
  #asked: TransportClose | undefined;
  /** How it ended, until somebody is told. */
  #how: TransportClose | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = 'nodebuffer';
    socket.on('message', (data, isBinary) => {
      if (!isBinary) return this.close(1003, 'a message that is not binary');
      if (this.#asked !== undefined) return;
      const { buffer, byteOffset, byteLength } = data as Buffer;
      this.#handlers?.message(new Uint8Array(buffer, byteOffset, byteLength));
    });
    // A bad frame: `ws` closes with the right code, and `close` follows.
    socket.on('error', (error: Error & { readonly code?: string }) => {
      this.#breach = breachCode(error.code ?? '');
    });
    socket.on('close', (code, reason) => {
      const meant = this.#breach ?? meantCode(code);
      this.#how = this.#asked ?? { code: meant, reason: reason.toString() };
      this.#handlers?.close(this.#how);
    });
    socket.pause();
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  start(handlers: TransportHandlers): void {
    queueMicrotask(() => {
      this.#handlers = handlers;
      if (this.#how !== undefined) handlers.close(this.#how);
      else this.#socket.resume();
    });
  }

  send(bytes: Uint8Array): void {
    if (this.#asked !== undefined || this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(bytes, SEND_OPTIONS, this.#sent);
    this.#waiting = true;
  }

  close(code: number, reason: string): void {
    if (this.#asked !== undefined || this.#how !== undefined) return;
    this.#asked = { code, reason };
    this.#socket.close(sentCode(code, SERVER_CODES), sentReason(reason));
    // The answer to the close must be read.
    this.#socket.resume();
    // Whoever does not answer the close is cut off; `ws` waits 30 s by itself.
    const timer = setTimeout(() => this.#socket.terminate(), CLOSE_WAIT_MS);
    timer.unref();
    this.#socket.once('close', () => clearTimeout(timer));
  }

  readonly #sent = (): void => {
    const left = this.bufferedBytes;
    if (this.#how !== undefined || (left > 0 && (!this.#waiting || left > LOW_BYTES))) return;
    this.#waiting = false;
    this.#handlers?.drain();
  };
}

/** The close code of what `ws` finds wrong in frames; nothing for what is wrong with the line. */
function breachCode(code: string): number | undefined {
  if (!code.startsWith('WS_ERR_')) return undefined;
  if (code === 'WS_ERR_INVALID_UTF8') return 1007;
  return TOO_MUCH.has(code) ? 1009 : 1002;
}

const TOO_MUCH: ReadonlySet<string> = new Set([
  'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
  'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH',
  'WS_ERR_TOO_MANY_BUFFERED_PARTS',
]);
const SEND_OPTIONS = { binary: true, compress: false, fin: true };
const CLOSE_WAIT_MS = 2_000;
/** What a server may send besides: all but what stands for a line that broke. */
const SERVER_CODES: ReadonlySet<number> = new Set([
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
]);
