import { invalidArgument } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import { CLOSE } from '../wire.ts';
import type { Transport, TransportClose, TransportHandlers } from './transport.ts';

/** What messages can be posted to and come from: a `MessagePort`, a `Worker`, the scope of a worker, in browsers and on Node. */
export interface PortLike {
  postMessage(message: unknown, transfer: never[]): unknown;
}

/** The same with all that it may have. */
interface Port {
  postMessage(message: unknown, transfer: Transferable[]): unknown;
  addEventListener?(type: string, fn: (event: MessageEvent) => void): void;
  removeEventListener?(type: string, fn: (event: MessageEvent) => void): void;
  /** Of Node, where there is no `addEventListener`. */
  on?(type: string, fn: (data: unknown) => void): unknown;
  off?(type: string, fn: (data: unknown) => void): unknown;
}

/** How a port is used. */
export interface MessagePortOptions {
  /** Leaves a `MessagePort` open when the connection ends; default false. A `Worker` and a worker's scope are never closed. */
  readonly keepOpen?: boolean;
}

/** Told of the drain below this … */
const LOW_BYTES: number = 64 * 1024;
/** … after so much waited. */
const HIGH_BYTES: number = 256 * 1024;
/** What was taken in is told of at so many bytes, or after a while. */
const TELL_BYTES: number = 32 * 1024;
const TELL_MS = 5;

/** Marks what is ours, on a port that may carry other messages. */
const MARK = 'stratakv';
type Parcel =
  | readonly [typeof MARK, 'message', Uint8Array]
  | readonly [typeof MARK, 'taken', number]
  | readonly [typeof MARK, 'close', number, string];

/**
 * A connection over a `MessagePort`, a `Worker` or, inside one, its global scope: between a page
 * and its workers, between threads on Node, between frames. Both sides call it, each with its end.
 * A message is copied once and its copy transferred, so that nothing is shared.
 *
 * The reader tells how much it has taken in, so `bufferedBytes` counts what the other side has not
 * read. Messages on the port that are not its own are left alone. A port tells only on some hosts
 * that the other side died; where it does not, the protocol notices by its heartbeats.
 *
 * Errors: `invalid-argument` for what is no port.
 *
 * ```ts
 * const { port1, port2 } = new MessageChannel();
 * worker.postMessage({ port: port2 }, [port2]);
 * const subscription = subscribe(messagePort(port1), local);
 * // in the worker
 * publication.accept(messagePort(port));
 * ```
 */
export function messagePort(port: PortLike, options: MessagePortOptions = {}): Transport {
  const { postMessage, addEventListener, on } = (port ?? {}) as Partial<Port>;
  const hears = typeof addEventListener === 'function' || typeof on === 'function';
  if (typeof postMessage !== 'function' || !hears)
    throw invalidArgument('messagePort', 'the port', port, 'a MessagePort or a Worker');
  checkOptions('messagePort', options, { keepOpen: is.boolean });
  return new PortTransport(port as Port, options.keepOpen === true);
}

class PortTransport implements Transport {
  readonly #port: Port;
  readonly #keepOpen: boolean;
  #handlers: TransportHandlers | undefined;
  #untaken = 0;
  #wasHigh = false;
  #taken = 0;
  #telling: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  /** How it ended before anybody listened. */
  #how: TransportClose | undefined;
  readonly #hear = ({ data }: MessageEvent): void => this.#take(data);
  readonly #hearData = (data: unknown): void => this.#take(data);
  /** Hosts that tell of it: the other side has closed its port or is gone. */
  readonly #gone = (): void => this.#end({ code: CLOSE.lost, reason: 'the other side is gone' });
  readonly #broken = (): void => this.close(CLOSE.malformed, 'a message that cannot be read');

  constructor(port: Port, keepOpen: boolean) {
    this.#port = port;
    this.#keepOpen = keepOpen;
  }

  get bufferedBytes(): number {
    return this.#untaken;
  }

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    const how = this.#how;
    if (how !== undefined) {
      queueMicrotask(() => handlers.close(how));
      return;
    }
    const port = this.#port;
    if (port.addEventListener !== undefined) {
      port.addEventListener('message', this.#hear);
      port.addEventListener('messageerror', this.#broken);
      port.addEventListener('close', this.#gone);
    } else {
      port.on?.('message', this.#hearData);
      port.on?.('messageerror', this.#broken);
      // A Worker of Node ends with the one, a port with the other.
      port.on?.('exit', this.#gone);
      port.on?.('close', this.#gone);
    }
    if (isPort(port)) port.start();
  }

  send(bytes: Uint8Array): void {
    if (this.#ended) return;
    // A view would bring all that it is a view of; and other connections may send the same bytes.
    const copy = new Uint8Array(bytes);
    this.#untaken += copy.length;
    if (this.#untaken > HIGH_BYTES) this.#wasHigh = true;
    this.#post([MARK, 'message', copy], [copy.buffer]);
  }

  close(code: number, reason: string): void {
    if (this.#ended) return;
    this.#post([MARK, 'close', code, reason]);
    this.#end({ code, reason });
  }

  #post(parcel: Parcel, transfer: Transferable[] = []): void {
    this.#port.postMessage(parcel, transfer);
  }

  #take(data: unknown): void {
    if (this.#ended || !Array.isArray(data) || data[0] !== MARK) return;
    const [, kind, value] = data as readonly unknown[] as Parcel;
    if (kind === 'message' && value instanceof Uint8Array) {
      this.#taken += value.length;
      this.#handlers?.message(value);
      this.#tell();
    } else if (kind === 'taken' && typeof value === 'number') this.#passed(value);
    else if (kind === 'close') this.#end({ code: Number(value), reason: String(data[3] ?? '') });
    else this.#broken();
  }

  /** At once when it is much; else soon, for what follows may go with it. */
  #tell(): void {
    if (this.#ended) return;
    if (this.#taken < TELL_BYTES) {
      this.#telling ??= setTimeout(() => this.#tellNow(), TELL_MS);
      return;
    }
    this.#tellNow();
  }

  #tellNow(): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    this.#post([MARK, 'taken', this.#taken]);
    this.#taken = 0;
  }

  #passed(bytes: number): void {
    this.#untaken = Math.max(0, this.#untaken - bytes);
    if (this.#untaken > 0 && (!this.#wasHigh || this.#untaken > LOW_BYTES)) return;
    this.#wasHigh = false;
    this.#handlers?.drain();
  }

  #end(how: TransportClose): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#telling);
    this.#untaken = 0;
    const port = this.#port;
    if (port.removeEventListener !== undefined) {
      port.removeEventListener('message', this.#hear);
      port.removeEventListener('messageerror', this.#broken);
      port.removeEventListener('close', this.#gone);
    } else {
      port.off?.('message', this.#hearData);
      port.off?.('messageerror', this.#broken);
      port.off?.('exit', this.#gone);
      port.off?.('close', this.#gone);
    }
    if (isPort(port) && !this.#keepOpen) port.close();
    this.#how = how;
    const handlers = this.#handlers;
    if (handlers !== undefined) queueMicrotask(() => handlers.close(how));
  }
}

/** A port that may be closed: closing a worker's scope would end the worker. */
function isPort(port: Port): port is Port & MessagePort {
  return typeof MessagePort === 'function' && port instanceof MessagePort;
}
