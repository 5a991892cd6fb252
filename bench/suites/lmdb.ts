import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { lmdb } from '../../src/drivers/lmdb/index.ts';
import { compare } from '../lib/measure.ts';
import type { Suite } from '../lib/row.ts';

const KEYS = 100_000;
const BATCH = 1_000;
const BATCHES = 50;
const READS = 100_000;
const keys = Array.from({ length: KEYS }, (_, i) => `user:${i.toString().padStart(11, '0')}`);
/** Scattered over the key space, as real writes are. */
const pick = (i: number): string => keys[(i * 7919) % KEYS] as string;

/** 1 KB that differs from one write to the next: an identical value may be skipped by an engine. */
function value(i: number): Buffer {
  const bytes = Buffer.alloc(1024, 'stratakv ');
  bytes.writeDoubleBE(i + performance.now(), 0);
  return bytes;
}

async function measureReads(folder: string, report: Parameters<Suite['run']>[0]): Promise<void> {
  await using store = lmdb({ path: join(folder, 'reads') });
  const raw = open({ path: join(folder, 'raw-reads'), encoding: 'binary' });
  for (let i = 0; i < KEYS; i += BATCH) {
    const page = keys.slice(i, i + BATCH);
    await store.setMany(page.map((key) => [key, value(i)] as const));
    await raw.batch(() => {
      for (const key of page) void raw.put(key, value(i));
    });
  }
  let sink: unknown;
  const rates = await compare([
    {
      name: 'own',
      operations: READS,
      run: async () => {
        for (let i = 0; i < READS; i++) sink = await store.get(pick(i));
      },
    },
    {
      name: 'raw',
      operations: READS,
      run: () => {
        for (let i = 0; i < READS; i++) sink = raw.getBinary(pick(i));
      },
    },
  ]);
  if (sink === undefined) throw new Error('a hit was a miss');
  await raw.close();
  const own = rates.get('own') ?? Number.NaN;
  const ratio = own / (rates.get('raw') ?? Number.NaN);
  const goal = { of: 'ratio', least: 1 / 1.5 } as const;
  report({ name: 'get, 1 KB', value: own, unit: 'gets/s', reference: 'raw lmdb getBinary', ratio, goal });
}

async function measureWrites(folder: string, report: Parameters<Suite['run']>[0]): Promise<void> {
  await using store = lmdb({ path: join(folder, 'writes') });
  const raw = open({ path: join(folder, 'raw-writes'), encoding: 'binary' });
  const each = (write: (page: (readonly [string, Buffer])[]) => Promise<unknown>, round: number) =>
    Promise.all(
      Array.from({ length: BATCHES }, (_, batch) => {
        const first = (round * BATCHES + batch) * BATCH;
        return write(Array.from({ length: BATCH }, (_, i) => [pick(first + i), value(i)] as const));
      }),
    );
  const rates = await compare([
    {
      name: 'own',
      operations: BATCH * BATCHES,
      run: async (round) => {
        await each((page) => store.setMany(page, { timeoutMs: 60_000 }), round);
        await compactNow(store);
      },
    },
    {
      name: 'raw',
      operations: BATCH * BATCHES,
      run: async (round) => {
        await each(
          (page) =>
            raw.batch(() => {
              for (const [key, bytes] of page) void raw.put(key, bytes);
            }),
          round,
        );
        await raw.flushed;
      },
    },
  ]);
  await raw.close();
  const own = rates.get('own') ?? Number.NaN;
  const ratio = own / (rates.get('raw') ?? Number.NaN);
  const goal = { of: 'ratio', least: 0.7 } as const;
  const name = 'batches of 1,000 x 1 KB, compaction included';
  report({ name, value: own, unit: 'writes/s', reference: 'raw lmdb batch', ratio, goal });
}

export const lmdbSuite: Suite = {
  name: 'lmdb',
  about: 'the lmdb driver against the bare library: flushed commits, 100,000 keys of 1 KB',
  async run(report) {
    const folder = await mkdtemp(join(tmpdir(), 'stratakv-bench-'));
    try {
      await measureReads(folder, report);
      await measureWrites(folder, report);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};
