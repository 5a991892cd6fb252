/** Serves a memory store over WebSocket, and beside it the same keys by bare frames. */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { memory } from '../../src/drivers/memory/index.ts';
import { publish } from '../../src/sync/index.ts';
import { serveWebSocket } from '../../src/sync/node.ts';
import { BareServer, type Pair } from '../lib/bare-frames.ts';
import { answerCalls } from '../lib/child.ts';
import { makeKey, makeValue } from '../lib/sample-data.ts';
import { sharedClockMs } from '../lib/shared-clock.ts';

/** Writes of one turn of the event loop, as when calls come in from outside. */
const WRITES_A_TURN = 500;
const FILL_BATCH = 1_000;

const store = memory<Uint8Array>();
const http = createServer();
/** Every connection since the start, alive or not. */
const sockets: Socket[] = [];
http.on('connection', (socket: Socket) => sockets.push(socket));
await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', () => resolve()));
await serveWebSocket({ publication: publish(store), server: http });
const bare = await BareServer.start();

const calls = {
  url: (): string => `ws://127.0.0.1:${(http.address() as AddressInfo).port}`,
  bareUrl: (): string => bare.url,

  /** Writes the first `count` keys, in batches. */
  async fill(count: number, version: number, bytes: number): Promise<void> {
    for (let i = 0; i < count; i += FILL_BATCH)
      await store.setMany(pairs(i, Math.min(FILL_BATCH, count - i), version, bytes));
  },

  bareFill(count: number, version: number, bytes: number): void {
    bare.fill(pairs(0, count, version, bytes));
  },

  /** Writes the first `count` keys, each by a call of its own. */
  async update(count: number, version: number, bytes: number): Promise<Update> {
    const writes = pairs(0, count, version, bytes);
    const startedMs = sharedClockMs();
    let rev = 0;
    for (let i = 0; i < count; i += WRITES_A_TURN) {
      const group = writes.slice(i, i + WRITES_A_TURN);
      const heads = await Promise.all(group.map(([key, value]) => store.set(key, value)));
      rev = heads.at(-1)?.rev ?? 0;
      await nextTurn();
    }
    return { startedMs, rev };
  },

  async bareUpdate(count: number, version: number, bytes: number): Promise<number> {
    const writes = pairs(0, count, version, bytes);
    const startedMs = sharedClockMs();
    for (let i = 0; i < count; i += WRITES_A_TURN) {
      bare.update(writes.slice(i, i + WRITES_A_TURN));
      await nextTurn();
    }
    bare.endRound();
    return startedMs;
  },

  /** What went through the sockets of the service so far, both ways, HTTP included. */
  socketBytes(): number {
    return sockets.reduce((sum, socket) => sum + socket.bytesRead + socket.bytesWritten, 0);
  },

  collectGarbage(): void {
    globalThis.gc?.();
  },
};

interface Update {
  /** By the clock that processes share. */
  readonly startedMs: number;
  /** Of the last write. */
  readonly rev: number;
}

function pairs(first: number, count: number, version: number, bytes: number): Pair[] {
  return Array.from({ length: count }, (_, at) => {
    const i = first + at;
    return [makeKey(i), makeValue(i, version, bytes)];
  });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export type SyncServerCalls = typeof calls;
answerCalls(calls);
