/**
 * What replication would cost if it were nothing but `ws` and frames of keys and values: no
 * revisions, no groups, no acknowledgements, no resume. The measure that the real one is held against.
 */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

/** A frame is closed at so many bytes. */
const FRAME_BYTES = 64 * 1024;
/** Ends a snapshot, or a round of updates. */
const END = Buffer.alloc(0);

export type Pair = readonly [key: string, value: Uint8Array];

/** Sends all it has to everyone who connects, then what is updated. */
export class BareServer {
  readonly #pairs = new Map<string, Uint8Array>();
  readonly #sockets: WebSocketServer;

  private constructor(sockets: WebSocketServer) {
    this.#sockets = sockets;
    sockets.on('connection', (socket) => {
      for (const frame of encode(this.#pairs)) socket.send(frame);
      socket.send(END);
    });
  }

  static async start(): Promise<BareServer> {
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    await new Promise<void>((resolve) => sockets.once('listening', () => resolve()));
    return new BareServer(sockets);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#sockets.address() as AddressInfo).port}`;
  }

  fill(pairs: Iterable<Pair>): void {
    for (const [key, value] of pairs) this.#pairs.set(key, value);
  }

  /** Every frame is encoded once, for all. */
  update(pairs: Iterable<Pair>): void {
    this.fill(pairs);
    for (const frame of encode(pairs)) this.#send(frame);
  }

  endRound(): void {
    this.#send(END);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    await new Promise((resolve) => this.#sockets.close(resolve));
  }

  #send(frame: Buffer): void {
    for (const socket of this.#sockets.clients) socket.send(frame);
  }
}

/** One end of it, with what it was sent. */
export class BareClient {
  readonly pairs: Map<string, Uint8Array> = new Map<string, Uint8Array>();
  readonly #socket: WebSocket;
  #rounds = 0;
  #onRound: () => void = () => {};
  readonly #watched: { key: string; value: Uint8Array | undefined; heard: () => void }[] = [];

  constructor(url: string) {
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      if (data.byteLength > 0) {
        decode(Buffer.from(data), this.pairs);
        this.#lookAtWatched();
        return;
      }
      this.#rounds++;
      this.#onRound();
    };
  }

  /** Resolves once so many snapshots and rounds of updates are here. */
  rounds(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onRound = () => {
        if (this.#rounds >= count) resolve();
      };
      this.#onRound();
    });
  }

  /** Calls `heard` whenever a frame has brought a value of the key. */
  watch(key: string, heard: () => void): void {
    this.#watched.push({ key, value: this.pairs.get(key), heard });
  }

  #lookAtWatched(): void {
    for (const one of this.#watched) {
      const value = this.pairs.get(one.key);
      if (value === one.value) continue;
      one.value = value;
      one.heard();
    }
  }

  close(): void {
    this.#socket.close();
  }
}

function* encode(pairs: Iterable<Pair>): Generator<Buffer> {
  let frame = Buffer.allocUnsafe(FRAME_BYTES);
  let at = 0;
  for (const [key, value] of pairs) {
    if (at + 3 + key.length + value.length > FRAME_BYTES) {
      yield frame.subarray(0, at);
      frame = Buffer.allocUnsafe(FRAME_BYTES);
      at = 0;
    }
    at = frame.writeUInt8(key.length, at);
    at = frame.writeUInt16BE(value.length, at);
    at += frame.write(key, at, 'latin1');
    frame.set(value, at);
    at += value.length;
  }
  if (at > 0) yield frame.subarray(0, at);
}

function decode(frame: Buffer, into: Map<string, Uint8Array>): void {
  for (let at = 0; at < frame.length; ) {
    const keyEnd = at + 3 + frame.readUInt8(at);
    const end = keyEnd + frame.readUInt16BE(at + 1);
    into.set(frame.toString('latin1', at + 3, keyEnd), frame.subarray(keyEnd, end));
    at = end;
  }
}
