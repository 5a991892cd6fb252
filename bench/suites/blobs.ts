import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cutter } from '../../src/blobs/cutter.ts';
import { blobs } from '../../src/blobs/index.ts';
import { file } from '../../src/drivers/file/index.ts';
import { lmdb } from '../../src/drivers/lmdb/index.ts';
import { memory, type Store } from '../../src/index.ts';
import { noise } from '../../test/support/blob-content.ts';
import { inFlight } from '../lib/in-flight.ts';
import { type Contender, compare } from '../lib/measure.ts';
import { rateRow } from '../lib/rate-row.ts';
import type { Report, Suite } from '../lib/row.ts';

const SOURCE_BYTES: number = 32 * 1024 * 1024;
const PIECE_BYTES: number = 64 * 1024;
const MEAN_BYTES = 262_144;
const PUTS = 1_000;
const PUT_BYTES = 1_024;
/** So many that the median says something on a machine with other work. */
const PUT_ROUNDS = 5;
const SPLIT_ROUNDS = 9;
const UNDER_WAY = 32;

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

async function splits(report: Report): Promise<void> {
  const source = noise(SOURCE_BYTES, 1);
  const sizes = { min: MEAN_BYTES / 4, mean: MEAN_BYTES, max: MEAN_BYTES * 4 };
  const bare = (): void => {
    const cutter = new Cutter(sizes);
    const hash = (chunk: Uint8Array): string => createHash('sha256').update(chunk).digest('hex');
    const refs: string[] = [];
    for (const piece of pieces(source))
      for (const chunk of cutter.push(piece)) refs.push(hash(chunk));
    const last = cutter.finish();
    if (last !== undefined) refs.push(hash(last));
  };
  const contenders: Contender[] = [
    { name: 'bare', operations: SOURCE_BYTES / 1e6, run: bare },
    {
      name: 'split',
      operations: SOURCE_BYTES / 1e6,
      run: async () => {
        await using store = memory<Uint8Array>();
        await blobs(store).split(pieces(source));
      },
    },
  ];
  report(
    rateRow(await compare(contenders, SPLIT_ROUNDS), {
      name: 'split of 32 MiB, in memory',
      unit: 'MB/s',
      own: 'split',
      against: 'bare',
      least: 0.8,
    }),
  );
}

/** Keys as refs are: in no order, which costs a tree on disk more than keys one after the other, whoever writes them. */
function keysLikeRefs(rounds: number): readonly string[] {
  return Array.from({ length: rounds * PUTS }, (_, n) => {
    const digits = createHash('sha256').update(String(n)).digest('hex');
    return `raw/${digits}`;
  });
}

async function puts(name: string, store: Store<Uint8Array>, report: Report): Promise<void> {
  const all = blobs(store);
  const content = (i: number, round: number, who: number): Uint8Array =>
    noise(PUT_BYTES, who + 3 * (i + round * PUTS));
  const keys = keysLikeRefs(PUT_ROUNDS + 1);
  const contenders: Contender[] = [
    {
      name: 'raw',
      operations: PUTS,
      run: (round) =>
        inFlight(UNDER_WAY, PUTS, (i) =>
          store.set(keys[round * PUTS + i] as string, content(i, round, 1)),
        ),
    },
    {
      name: 'put',
      operations: PUTS,
      run: (round) => inFlight(UNDER_WAY, PUTS, (i) => all.put(content(i, round, 2))),
    },
  ];
  report(
    rateRow(await compare(contenders, PUT_ROUNDS), {
      name: `put of 1 KiB blobs to ${name}, ${UNDER_WAY} under way`,
      unit: 'puts/s',
      own: 'put',
      against: 'raw',
      least: 0.8,
    }),
  );
  await store.close();
}

export const blobsSuite: Suite = {
  name: 'blobs',
  about: 'content-addressed bytes against bare hashing and the raw drivers',
  async run(report) {
    const folder = mkdtempSync(join(tmpdir(), 'stratakv-bench-blobs-'));
    try {
      await splits(report);
      await puts('file', file({ path: join(folder, 'file') }), report);
      await puts('lmdb', lmdb({ path: join(folder, 'lmdb') }), report);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
