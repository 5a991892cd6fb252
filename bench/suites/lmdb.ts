import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { compact, lmdb } from '../../src/drivers/lmdb/index.ts';
import { compare } from '../lib/measure.ts';
import { rateRow } from '../lib/rate-row.ts';
import type { Report, Suite } from '../lib/row.ts';
import { makeValue, sameBytes } from '../lib/sample-data.ts';

const KEYS = 100_000;
const BATCH = 1_000;
const BATCHES = 50;
const READS = 100_000;
const VALUE_BYTES = 1_024;

const keys = Array.from({ length: KEYS }, (_, i) => `user:${i.toString().padStart(11, '0')}`);
/** Scattered over the key space, as real writes are. */
const indexOf = (i: number): number => (i * 7919) % KEYS;

type Pairs = readonly (readonly [string, Uint8Array])[];

/** Batches that write every second key of the store, scattered; all values differ from those before. */
function batchesOf(round: number): Pairs[] {
  return Array.from({ length: BATCHES }, (_, batch) =>
    Array.from({ length: BATCH }, (_, i) => {
      const index = indexOf((round * BATCHES + batch) * BATCH + i);
      return [keys[index] as string, makeValue(index, round, VALUE_BYTES)];
    }),
  );
}

type RawStore = RootDatabase<Buffer, string>;

const openRaw = (path: string): RawStore => open<Buffer, string>({ path, encoding: 'binary' });

function putAll(raw: RawStore, pairs: Pairs): Promise<unknown> {
  return raw.batch(() => {
    for (const [key, value] of pairs) void raw.put(key, value as Buffer);
  });
}

async function measureReads(folder: string, report: Report): Promise<void> {
  await using store = lmdb({ path: join(folder, 'reads') });
  const raw = openRaw(join(folder, 'raw-reads'));
  const values = keys.map((key, i) => [key, makeValue(i, 0, VALUE_BYTES)] as const);
  for (let i = 0; i < KEYS; i += BATCH) {
    const page = values.slice(i, i + BATCH);
    await store.setMany(page);
    await putAll(raw, page);
  }
  let bytes = 0;
  const verify = (): void => {
    if (bytes !== READS * VALUE_BYTES) throw new Error('values that are not 1 KB');
    bytes = 0;
  };
  const read = (i: number): string => keys[indexOf(i)] as string;
  const result = await compare([
    {
      name: 'lmdb',
      operations: READS,
      run: async () => {
        for (let i = 0; i < READS; i++) bytes += (await store.get(read(i)))?.length ?? 0;
      },
      verify,
    },
    {
      name: 'raw getBinary',
      operations: READS,
      run: () => {
        for (let i = 0; i < READS; i++) bytes += raw.getBinary(read(i))?.length ?? 0;
      },
      verify,
    },
  ]);
  await raw.close();
  const measured = { own: 'lmdb', against: 'raw getBinary', least: 1 / 1.5 };
  report(rateRow(result, { name: 'get, 1 KB', unit: 'gets/s', ...measured }));
}

async function measureWrites(folder: string, report: Report): Promise<void> {
  await using store = lmdb({ path: join(folder, 'writes') });
  const raw = openRaw(join(folder, 'raw-writes'));
  const rounds = Array.from({ length: 8 }, (_, round) => batchesOf(round));
  const verify = async (
    round: number,
    get: (key: string) => Uint8Array | undefined | Promise<Uint8Array | undefined>,
  ): Promise<void> => {
    for (const [key, value] of (rounds[round] ?? []).flat())
      if (!sameBytes(await get(key), value)) throw new Error(`${key} has another value`);
  };
  const result = await compare(
    [
      {
        name: 'lmdb',
        operations: BATCH * BATCHES,
        run: async (round) => {
          const batches = rounds[round] ?? [];
          await Promise.all(batches.map((pairs) => store.setMany(pairs, { timeoutMs: 60_000 })));
          await compact(store);
        },
        verify: (round) => verify(round, (key) => store.get(key)),
      },
      {
        name: 'raw batch',
        operations: BATCH * BATCHES,
        run: async (round) => {
          await Promise.all((rounds[round] ?? []).map((pairs) => putAll(raw, pairs)));
          await raw.flushed;
        },
        verify: (round) => verify(round, (key) => raw.getBinary(key)),
      },
    ],
    7,
  );
  await raw.close();
  const name = 'batches of 1,000 x 1 KB, index compacted';
  const measured = { own: 'lmdb', against: 'raw batch', least: 0.7 };
  report(rateRow(result, { name, unit: 'writes/s', ...measured }));
}

export const lmdbSuite: Suite = {
  name: 'lmdb',
  about: `the lmdb driver against the bare library, flushed, ${KEYS.toLocaleString('en')} keys of 1 KB`,
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
