/** One end of a replication, ours or that of a peer: the source, or a number of copies, or both. */
import { setTimeout as sleep } from 'node:timers/promises';
import { answerCalls } from '../lib/child.ts';
import { sharedClockMs } from '../lib/shared-clock.ts';
import { loadPeer, type PeerName } from '../lib/sync-peers/index.ts';
import {
  type Expected,
  expectedTexts,
  makeItem,
  makeItems,
  verifyEntries,
} from '../lib/sync-peers/items.ts';
import type { PeerServer, PeerSubscriber } from '../lib/sync-peers/peer.ts';

/** How often it is looked whether all have caught up. */
const POLL_MS = 1;
/** Who needs longer for anything has failed. */
const PATIENCE_MS = 120_000;
/** Copies that connect at once. */
const CONNECTING = 50;
/** Within that, buffers that were collected are given back. */
const RELEASED_MS = 500;
/** What is made at once of a large number of keys. */
const PART = 50_000;

let server: PeerServer | undefined;
let subscribers: PeerSubscriber[] = [];
/** How often each copy has heard of the watched key, and when last. */
let heard: number[] = [];
let heardMs = 0;
let onHeard: () => void = () => {};

const source = (): PeerServer => server ?? raise('nothing is served');

const calls = {
  async serve(name: PeerName): Promise<{ readonly address: string; readonly pid: number }> {
    server = await (await loadPeer(name)).serve();
    return { address: server.address, pid: server.pid };
  },

  async fill(count: number, version: number, bytes: number): Promise<void> {
    for (let at = 0; at < count; at += PART)
      await source().fill(makeItems(at, Math.min(PART, count - at), version, bytes));
  },

  /** Writes the first `count` keys, each by a call of its own; gives when that began. */
  async write(count: number, version: number, bytes: number): Promise<number> {
    const items = makeItems(0, count, version, bytes);
    const startedMs = sharedClockMs();
    await source().write(items);
    return startedMs;
  },

  /** What is alive in this process. Memory of buffers is given back a while after their collection. */
  async retainedBytes(): Promise<number> {
    globalThis.gc?.();
    await sleep(RELEASED_MS);
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  },

  async stop(): Promise<void> {
    await server?.stop();
  },

  /** Gives the ms from the first connect until every copy has the last key of what is expected. */
  async connect(
    name: PeerName,
    address: string,
    count: number,
    expected: Expected,
  ): Promise<number> {
    const peer = await loadPeer(name);
    const start = performance.now();
    for (let at = 0; at < count; at += CONNECTING)
      subscribers.push(
        ...(await inTime(
          Promise.all(
            Array.from({ length: Math.min(CONNECTING, count - at) }, () => peer.connect(address)),
          ),
        )),
      );
    await allHave(expected.keys - 1, expected.version, expected.bytes);
    return performance.now() - start;
  },

  /** Resolves once every copy has a key in a version; gives when that was. */
  async reached(i: number, version: number, bytes: number): Promise<number> {
    await allHave(i, version, bytes);
    return sharedClockMs();
  },

  watch(i: number): void {
    heard = subscribers.map(() => 0);
    for (const [at, subscriber] of subscribers.entries())
      subscriber.watch(makeItem(i, 0, 0).key, () => {
        heard[at] = (heard[at] ?? 0) + 1;
        heardMs = sharedClockMs();
        onHeard();
      });
  },

  /** Resolves once every copy has heard so often of the watched key; gives when that was. */
  async heardOf(times: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    onHeard = () => {
      if (heard.every((count) => count >= times)) resolve();
    };
    onHeard();
    await inTime(promise);
    return heardMs;
  },

  /** Throws unless every copy has exactly what is expected. */
  async verify(expected: Expected): Promise<void> {
    const texts = expectedTexts(expected);
    for (const subscriber of subscribers) verifyEntries(await subscriber.entries(), texts);
  },

  async disconnect(): Promise<void> {
    await Promise.all(subscribers.map((subscriber) => subscriber.close()));
  },

  forget(): void {
    subscribers = [];
  },

  /** Connects the copies again; gives the ms until all have the last of the changed keys. */
  async resume(address: string, expected: Required<Expected>): Promise<number> {
    const start = performance.now();
    const again = subscribers.map((one) => one.resume?.(address) ?? raise('it cannot return'));
    await inTime(Promise.all(again));
    await allHave(expected.changed - 1, expected.changedVersion, expected.bytes);
    return performance.now() - start;
  },

  collectGarbage(): void {
    globalThis.gc?.();
  },
};

async function allHave(i: number, version: number, bytes: number): Promise<void> {
  if (i < 0) return;
  const item = makeItem(i, version, bytes);
  const deadline = performance.now() + PATIENCE_MS;
  for (const subscriber of subscribers)
    while (!(await subscriber.has(item))) {
      if (performance.now() > deadline) raise(`${item.key} did not arrive in time`);
      await sleep(POLL_MS);
    }
}

async function inTime<T>(promise: Promise<T>): Promise<T> {
  const timer = Promise.withResolvers<never>();
  const patience = setTimeout(() => timer.reject(new Error('it took too long')), PATIENCE_MS);
  return Promise.race([promise, timer.promise]).finally(() => clearTimeout(patience));
}

function raise(message: string): never {
  throw new Error(message);
}

export type SyncPeerCalls = typeof calls;
answerCalls(calls);
