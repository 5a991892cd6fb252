import type { WebSocket } from 'ws';
import type { Transport, TransportClose, TransportHandlers } from './transport.ts';

/** Told of the drain below this, after more has waited. */
const LOW_BYTES: number = 256 * 1024;

/** One connection of a `ws` server. */
export class ServerWebSocket implements Transport {
  readonly #socket: WebSocket;
  #handlers: TransportHandlers | undefined;
  #waiting = false;
  /** What came before `start`. */
  #early: (() => void)[] | undefined = [];

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = 'nodebuffer';
    socket.on('message', (data, isBinary) => {
      if (!isBinary) return this.close(1003, 'a message that is not binary');
      const bytes = data as Buffer;
      this.#give((handlers) =>
        handlers.message(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
      );
    });
    // A bad frame: `ws` closes with the right code, and `close` follows.
    socket.on('error', () => {});
    socket.on('close', (code, reason) => {
      const how: TransportClose = { code, reason: reason.toString() };
      this.#give((handlers) => handlers.close(how));
    });
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    queueMicrotask(() => {
      const early = this.#early ?? [];
      this.#early = undefined;
      for (const give of early) give();
    });
  }

  send(bytes: Uint8Array): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(bytes, SEND_OPTIONS, this.#sent);
    this.#waiting = true;
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason.slice(0, 100));
    // Whoever does not answer the close is cut off; `ws` waits 30 s by itself.
    const timer = setTimeout(() => this.#socket.terminate(), CLOSE_WAIT_MS);
    timer.unref();
    this.#socket.once('close', () => clearTimeout(timer));
  }

  readonly #sent = (): void => {
    if (!this.#waiting || this.bufferedBytes > LOW_BYTES) return;
    this.#waiting = false;
    this.#give((handlers) => handlers.drain());
  };

  #give(give: (handlers: TransportHandlers) => void): void {
    const deliver = (): void => {
      if (this.#handlers !== undefined) give(this.#handlers);
    };
    if (this.#early === undefined) deliver();
    else this.#early.push(deliver);
  }
}

const SEND_OPTIONS = { binary: true, compress: false, fin: true };
const CLOSE_WAIT_MS = 2_000;
