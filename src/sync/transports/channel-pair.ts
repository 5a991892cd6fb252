import type { Transport, TransportClose, TransportHandlers } from './transport.ts';

/** A sender is told of the drain when nothing waits, and when after much less than this does. */
const LOW_BYTES = 64 * 1024;
/** So much may wait before a drain is told of. */
const HIGH_BYTES = 256 * 1024;

/**
 * Two ends of a connection inside one process: for a server and a subscriber that live together,
 * and for tests. Messages are delivered asynchronously, in order, by reference.
 *
 * ```ts
 * const [here, there] = channelPair();
 * publication.accept(here);
 * const subscription = subscribe(there, local);
 * ```
 */
export function channelPair(): [Transport, Transport] {
  const a = new ChannelEnd();
  const b = new ChannelEnd();
  a.join(b);
  b.join(a);
  return [a, b];
}

class ChannelEnd implements Transport {
  #other: ChannelEnd = this;
  #handlers: TransportHandlers | undefined;
  /** On its way to this end. */
  #inbox: (Uint8Array | TransportClose)[] = [];
  #inboxBytes = 0;
  #wasHigh = false;
  #delivering = false;
  #closed = false;

  join(other: ChannelEnd): void {
    this.#other = other;
  }

  get bufferedBytes(): number {
    return this.#other.#inboxBytes;
  }

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    this.#deliver();
  }

  send(bytes: Uint8Array): void {
    if (!this.#closed) this.#other.#receive(bytes);
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#other.#receive({ code, reason });
    this.#inbox = [{ code, reason }];
    this.#inboxBytes = 0;
    this.#deliver();
  }

  #receive(message: Uint8Array | TransportClose): void {
    if (this.#closed) return;
    this.#inbox.push(message);
    if (message instanceof Uint8Array) this.#inboxBytes += message.length;
    if (this.#inboxBytes > HIGH_BYTES) this.#wasHigh = true;
    this.#deliver();
  }

  #deliver(): void {
    if (this.#delivering || this.#handlers === undefined || this.#inbox.length === 0) return;
    this.#delivering = true;
    queueMicrotask(() => {
      this.#delivering = false;
      const message = this.#inbox.shift();
      if (message === undefined) return;
      if (message instanceof Uint8Array) {
        this.#inboxBytes -= message.length;
        this.#handlers?.message(message);
        this.#tellDrain();
        this.#deliver();
        return;
      }
      this.#closed = true;
      this.#inbox = [];
      this.#inboxBytes = 0;
      this.#handlers?.close(message);
    });
  }

  #tellDrain(): void {
    if (this.#inboxBytes > 0 && (!this.#wasHigh || this.#inboxBytes > LOW_BYTES)) return;
    this.#wasHigh = false;
    if (!this.#other.#closed) this.#other.#handlers?.drain();
  }
}
