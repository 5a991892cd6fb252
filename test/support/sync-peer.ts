/** One end of a sync connection, played by hand. */
import type { Transport } from '../../src/sync/index.ts';
import { decodeMessage, encodeMessage, type Message } from '../../src/sync/protocol.ts';

export class Peer {
  readonly received: Message[] = [];
  closed: number | undefined;
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
    transport.start({
      message: (frame) => void this.received.push(decodeMessage(frame)),
      drain: () => undefined,
      close: ({ code }): void => {
        this.closed = code;
      },
    });
  }

  send(...messages: readonly Message[]): void {
    for (const message of messages) this.#transport.send(encodeMessage(message));
  }

  raw(frame: Uint8Array): void {
    this.#transport.send(frame);
  }

  close(code: number): void {
    this.#transport.close(code, 'by the peer');
  }

  types(): string[] {
    return this.received.map(({ type }) => type);
  }
}
