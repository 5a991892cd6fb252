/** Subscribers with memory stores, and clients of bare frames. */
import { setTimeout as sleep } from 'node:timers/promises';
import { memory } from '../../src/drivers/memory/index.ts';
import type { StoreWithBlocking } from '../../src/store/store.ts';
import { type Subscription, subscribe, webSocket } from '../../src/sync/index.ts';
import { BareClient } from '../lib/bare-frames.ts';
import { answerCalls } from '../lib/child.ts';
import { verifyAll } from '../lib/sample-data.ts';
import { sharedClockMs } from '../lib/shared-clock.ts';

/** How often it is looked whether all have caught up. */
const POLL_MS = 1;

let stores: StoreWithBlocking<Uint8Array>[] = [];
let subscriptions: Subscription<Uint8Array>[] = [];
let clients: BareClient[] = [];

const calls = {
  /** Gives the ms from the first connect until all have caught up. */
  async subscribe(url: string, count: number): Promise<number> {
    stores = Array.from({ length: count }, () => memory<Uint8Array>());
    const server = webSocket(url);
    const start = performance.now();
    subscriptions = stores.map((store) => subscribe(server, store));
    await Promise.all(subscriptions.map(({ ready }) => ready));
    return performance.now() - start;
  },

  /** Resolves once every subscriber has applied a revision; gives when that was. */
  async reached(rev: number): Promise<number> {
    while (!subscriptions.every((subscription) => subscription.status().rev >= rev))
      await sleep(POLL_MS);
    return sharedClockMs();
  },

  /** Throws unless every store has exactly these keys, the first `changed` of them in a later version. */
  verify(count: number, version: number, bytes: number, changed = 0): void {
    for (const { blocking } of stores) {
      const size = Array.from(blocking.keys()).length;
      const held = { size, get: (key: string) => blocking.get(key) };
      verifyAll(held, count, (i) => (i < changed ? version + 1 : version), bytes);
    }
  },

  async disconnect(): Promise<void> {
    await Promise.all(subscriptions.map((subscription) => subscription.close()));
    subscriptions = [];
  },

  /** Connects the same stores again. Gives how many resumed from their cursor. */
  async resume(url: string): Promise<number> {
    subscriptions = stores.map((store) => subscribe(webSocket(url), store));
    await Promise.all(subscriptions.map(({ ready }) => ready));
    return subscriptions.filter((subscription) => subscription.status().resumes === 1).length;
  },

  async bareSubscribe(url: string, count: number): Promise<number> {
    if (typeof WebSocket !== 'function') throw new Error('this Node has no WebSocket');
    const start = performance.now();
    clients = Array.from({ length: count }, () => new BareClient(url));
    await Promise.all(clients.map((client) => client.rounds(1)));
    return performance.now() - start;
  },

  /** As `reached`, for rounds of frames; the snapshot is the first. */
  async bareReached(rounds: number): Promise<number> {
    await Promise.all(clients.map((client) => client.rounds(rounds)));
    return sharedClockMs();
  },

  bareVerify(count: number, version: number, bytes: number): void {
    for (const { pairs } of clients) verifyAll(pairs, count, () => version, bytes);
  },

  bareDisconnect(): void {
    for (const client of clients) client.close();
    clients = [];
  },

  collectGarbage(): void {
    globalThis.gc?.();
  },
};

export type SyncSubscriberCalls = typeof calls;
answerCalls(calls);
