import { DedupeBuffer, type DedupeUpdate } from '../../src/kernel/dedupe-buffer/index.ts';
import { type Contender, compare } from '../lib/measure.ts';
import { rateRow } from '../lib/rate-row.ts';
import type { Report, Suite } from '../lib/row.ts';

const UPDATES = 1_000_000;
/** Updates of one call. */
const BATCH = 100;

type Update = DedupeUpdate<number>;

/** The least that replaces updates in their place: no marks, kinds, deletes or checks. */
class PlainQueue {
  #places = new Map<string, number>();
  #queue: Update[] = [];
  readonly #sent: Set<string> | undefined;

  constructor(keepSent: boolean) {
    this.#sent = keepSent ? new Set() : undefined;
  }

  onUpdates(updates: readonly Update[]): void {
    for (const update of updates) {
      const at = this.#places.get(update.key);
      if (at !== undefined) this.#queue[at] = update;
      else this.#places.set(update.key, this.#queue.push(update) - 1);
    }
  }

  take(): readonly Update[] {
    const taken = this.#queue;
    this.#queue = [];
    this.#places = new Map();
    if (this.#sent !== undefined) for (const { key } of taken) this.#sent.add(key);
    return taken;
  }
}

/** The same updates for all: batches over `keys` distinct keys, scattered. */
function batchesOf(keys: number): Update[][] {
  const names = Array.from({ length: keys }, (_, i) => `user:${i.toString().padStart(8, '0')}`);
  return Array.from({ length: UPDATES / BATCH }, (_, batch) =>
    Array.from({ length: BATCH }, (_, i) => {
      const value = batch * BATCH + i;
      return { key: names[(value * 7919) % keys] as string, value };
    }),
  );
}

/** What a sink does of a window: it looks at each update. */
function sum(updates: readonly Update[]): number {
  let total = 0;
  for (const { value } of updates) total += value ?? 0;
  return total;
}

/** Queues all batches, and takes a window after every `perWindow` updates. */
function contender(
  name: string,
  batches: readonly Update[][],
  perWindow: number,
  open: () => { push(batch: readonly Update[]): void; take(): readonly Update[] },
): Contender & { total: number } {
  const own = {
    name,
    operations: UPDATES,
    total: 0,
    run: () => {
      const { push, take } = open();
      own.total = 0;
      let queued = 0;
      for (const batch of batches) {
        push(batch);
        queued += batch.length;
        if (queued < perWindow) continue;
        own.total += sum(take());
        queued = 0;
      }
      own.total += sum(take());
    },
  };
  return own;
}

function openBuffer(trackSeen: boolean) {
  const buffer = new DedupeBuffer<number>({ trackSeen });
  return {
    push: (batch: readonly Update[]): void => buffer.onUpdates(batch),
    take: (): readonly Update[] => {
      const window = buffer.tryNext();
      return typeof window === 'string' ? [] : window.updates;
    },
  };
}

function openPlain(keepSent: boolean) {
  const queue = new PlainQueue(keepSent);
  return {
    push: (batch: readonly Update[]): void => queue.onUpdates(batch),
    take: (): readonly Update[] => queue.take(),
  };
}

async function measure(report: Report, keys: number, perWindow: number): Promise<void> {
  const batches = batchesOf(keys);
  const pairs = [
    { own: 'trackSeen', against: 'Map, array, Set of keys sent', tracks: true },
    { own: 'trackSeen: false', against: 'Map and array', tracks: false },
  ];
  const contenders = pairs.flatMap(({ own, against, tracks }) => [
    contender(own, batches, perWindow, () => openBuffer(tracks)),
    contender(against, batches, perWindow, () => openPlain(tracks)),
  ]);
  for (const each of contenders)
    each.verify = () => {
      const other = contenders.find(({ total }) => total !== 0 && total !== each.total);
      if (other !== undefined) throw new Error(`${each.name} and ${other.name} differ`);
    };
  const result = await compare(contenders);
  const about = `${keys.toLocaleString('en')} keys, a window every ${perWindow.toLocaleString('en')}`;
  for (const { own, against } of pairs)
    report(
      rateRow(result, { name: `${about}, ${own}`, unit: 'updates/s', own, against, least: 0.5 }),
    );
}

/** What the buffer adds to the memory for each key while it is queued: keys and updates are the producer's. */
function bytes(report: Report, keys: number): void {
  const updates = Array.from({ length: keys }, (_, value) => ({ key: `user:${value}`, value }));
  // A string remembers its hash from the first time on.
  const names = new Set(updates.map(({ key }) => key));
  for (const trackSeen of [true, false]) {
    const buffer = new DedupeBuffer<number>({ trackSeen });
    const before = heapBytes();
    for (let at = 0; at < keys; at += BATCH) buffer.onUpdates(updates.slice(at, at + BATCH));
    const value = (heapBytes() - before) / buffer.size;
    if (buffer.size !== names.size) throw new Error(`${buffer.size} of ${names.size} keys queued`);
    const name = `${keys.toLocaleString('en')} keys queued, trackSeen: ${trackSeen}`;
    report({ name, value, unit: 'B/key', goal: { of: 'value', most: 152 } });
  }
}

function heapBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

export const dedupeBuffer: Suite = {
  name: 'dedupe-buffer',
  about: `${UPDATES.toLocaleString('en')} updates in calls of ${BATCH}, taken in windows, beside a queue without promises`,
  async run(report) {
    await measure(report, 100, 10_000);
    await measure(report, 10_000, 10_000);
    await measure(report, 1_000_000, 1_000_000);
    await measure(report, 200_000, 1_000);
    for (const keys of [100_000, 1_000_000]) bytes(report, keys);
  },
};
