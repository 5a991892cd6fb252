import { invalidArgument, StrataError } from '../../store/errors.ts';
import { systemEnv } from '../../store/system-env.ts';
import { meantCode, sentCode, sentReason } from './close-codes.ts';
import type { Connector, Transport, TransportClose, TransportHandlers } from './transport.ts';

/** How a WebSocket is opened. */
export interface WebSocketOptions {
  /** Subprotocols to offer, for servers and proxies that choose by them. */
  readonly protocols?: readonly string[];
}

/** A drain is watched for when more than this waits, and told of below a quarter of it. */
const HIGH_BYTES = 1024 * 1024;
const DRAIN_POLL_MS = 10;
/** A connection that is closed before it is open may take so long to open after all. */
const OPEN_WAIT_MS = 2_000;

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
  /** How it ended, or what this side closed with, which it is told of at once. */
  #how: TransportClose | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#flush();
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (this.#how !== undefined) return;
      if (event.data instanceof ArrayBuffer) this.#give(new Uint8Array(event.data));
      else this.close(1003, 'a message that is not binary');
    };
    // The close that follows says all there is to know.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }) => {
      if (this.#how !== undefined) return;
      this.#how = { code: meantCode(code), reason };
      this.#give(this.#how);
    };
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
    if (this.#how !== undefined) return;
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
    if (this.#how !== undefined) return;
    const how = { code, reason };
    this.#how = how;
    if (this.#early !== undefined) this.#early = [];
    // Who does not answer is not waited for; and who is gone never answers.
    queueMicrotask(() => this.#give(how));
    // What waits for the opening goes out first; but who never answers is not waited for.
    if (this.#socket.readyState !== WebSocket.CONNECTING) this.#closeSocket();
    else systemEnv.setTimer(() => this.#closeSocket(), OPEN_WAIT_MS, { background: true });
  }

  #closeSocket(): void {
    const { code, reason } = this.#how as TransportClose;
    this.#socket.close(sentCode(code), sentReason(reason));
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const bytes of waiting) this.#socket.send(bytes as Uint8Array<ArrayBuffer>);
    if (this.#how !== undefined) this.#closeSocket();
    else if (this.bufferedBytes > HIGH_BYTES) this.#pollDrain();
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
      this.#polling = false;
      if (this.#how !== undefined || this.#socket.readyState !== WebSocket.OPEN) return;
      if (this.bufferedBytes > HIGH_BYTES / 4) this.#pollDrain();
      else this.#handlers?.drain();
    };
    setTimeout(poll, DRAIN_POLL_MS);
  }
}
