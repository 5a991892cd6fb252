/** A subscriber that keeps nothing: it acknowledges what comes, until it stops reading its socket. */
import { WebSocket } from 'ws';
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type MessageOf,
} from '../../src/sync/protocol.ts';

const HELLO: MessageOf<'hello'> = {
  type: 'hello',
  oldestVersion: 1,
  newestVersion: 1,
  storeId: '',
  token: '',
  prefix: '',
  clientId: 'raw',
  sourceId: '',
  scope: '',
  cursor: undefined,
  creditBytes: 4 * 1024 * 1024,
};

export class RawSubscriber {
  /** Resolves once a whole group has come. */
  readonly synced: Promise<void>;
  /** Resolves with the first message after the greeting. */
  readonly begun: Promise<void>;
  readonly received: string[] = [];
  closedWith: number | undefined;
  readonly #socket: WebSocket;
  #taken = 0;
  #rev = 0;

  constructor(url: string) {
    this.#socket = new WebSocket(url);
    const synced = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    this.synced = synced.promise;
    this.begun = begun.promise;
    this.#socket.on('open', () => this.#send(HELLO));
    this.#socket.on('error', () => this.#socket.terminate());
    this.#socket.on('close', (code) => {
      this.closedWith = code;
    });
    this.#socket.on('message', (data: Buffer) => {
      const message = decodeMessage(new Uint8Array(data));
      if (this.received.at(-1) !== message.type) this.received.push(message.type);
      if (message.type === 'batch' || message.type === 'piece') {
        this.#taken += data.length;
        begun.resolve();
      }
      if (message.type === 'batch' && message.end !== undefined) {
        this.#rev = message.end.rev;
        synced.resolve();
      }
      if (message.type !== 'ready') this.#send({ type: 'ack', rev: this.#rev, bytes: this.#taken });
    });
  }

  /** Reads nothing any more; the connection stays. */
  stop(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.terminate();
  }

  #send(message: Message): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(encodeMessage(message));
  }
}
