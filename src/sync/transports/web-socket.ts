import { invalidArgument, StrataError } from '../../store/errors.ts';
import type { Connector, Transport, TransportClose, TransportHandlers } from './transport.ts';

/** How a WebSocket is opened. */
export interface WebSocketOptions {
  /** Subprotocols to offer, for servers and proxies that choose by them. */
  readonly protocols?: readonly string[];
}

/** A drain is watched for when more than this waits, and told of below a quarter of it. */
const HIGH_BYTES = 1024 * 1024;
const DRAIN_POLL_MS = 10;

/**
 * Connections to a server at an address like `wss://host/path`, by the WebSocket of the browser or
 * of Node: what `subscribe` takes. Errors: `invalid-argument` for what is no such address.
 *
 * ```ts
 * const subscription = subscribe(webSocket('ws://localhost:8080/store'), local);
 * ```
 */
export function webSocket(url: string | URL, options: WebSocketOptions = {}): Connector {
  const address = checkAddress(url);
  if (typeof WebSocket !== 'function')
    throw new StrataError('unsupported', 'webSocket: this host has no WebSocket', {
      operation: 'webSocket',
    });
  return {
    connect: () => new WebSocketTransport(new WebSocket(address, [...(options.protocols ?? [])])),
  };
}

function checkAddress(url: string | URL): string {
  const address = URL.canParse(String(url)) ? new URL(String(url)) : undefined;
  if (address === undefined || !/^(ws|wss|http|https):$/.test(address.protocol))
    throw invalidArgument('webSocket', 'the address', String(url), 'one like wss://host/path');
  address.protocol = address.protocol.replace('http', 'ws');
  address.hash = '';
  return address.href;
}

class WebSocketTransport implements Transport {
  readonly #socket: WebSocket;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #early: (Uint8Array | TransportClose)[] | undefined = [];
  #handlers: TransportHandlers | undefined;
  #polling = false;
  /** What this side closed with: 1005 and 1006 say nothing of it. */
  #asked: TransportClose | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#flush();
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (event.data instanceof ArrayBuffer) this.#give(new Uint8Array(event.data));
      else this.close(1003, 'a message that is not binary');
    };
    // The close that follows says all there is to know.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }) => this.#give(this.#asked ?? { code, reason });
  }

  get bufferedBytes(): number {
    return this.#waitingBytes + this.#socket.bufferedAmount;
  }

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    queueMicrotask(() => {
      const early = this.#early ?? [];
      this.#early = undefined;
      for (const event of early) this.#give(event);
    });
  }

  send(bytes: Uint8Array): void {
    if (this.#socket.readyState === WebSocket.CONNECTING) {
      this.#waiting.push(bytes);
      this.#waitingBytes += bytes.length;
      return;
    }
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(bytes as Uint8Array<ArrayBuffer>);
    if (this.bufferedBytes > HIGH_BYTES) this.#pollDrain();
  }

  close(code: number, reason: string): void {
    this.#asked ??= { code, reason };
    // A browser may send these codes only; the others are moved to where they are still told apart.
    const allowed = code === 1000 || (code >= 3000 && code < 5000);
    this.#socket.close(allowed ? code : 3000 + code, reason.slice(0, 100));
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const bytes of waiting) this.send(bytes);
  }

  #give(event: Uint8Array | TransportClose): void {
    if (this.#early !== undefined) this.#early.push(event);
    else if (event instanceof Uint8Array) this.#handlers?.message(event);
    else this.#handlers?.close(event);
  }

  #pollDrain(): void {
    if (this.#polling) return;
    this.#polling = true;
    const poll = (): void => {
      if (this.bufferedBytes > HIGH_BYTES / 4 && this.#socket.readyState === WebSocket.OPEN) {
        setTimeout(poll, DRAIN_POLL_MS);
        return;
      }
      this.#polling = false;
      this.#handlers?.drain();
    };
    setTimeout(poll, DRAIN_POLL_MS);
  }
}
