import { expect, test } from 'vitest';
import type { ServedArchive as Told } from '../../cli/serve/archive-figures.ts';
import { ArchiveSamples } from './archive-samples.ts';
import type { ServedArchive } from './served.ts';

const hot = { dirty: 7, failing: 2, oldestMarkMs: 1_500, evicted: 3 };

function working(at: number, frozen: number, failures = 0): Told {
  const work = { frozen, failures, evicted: 0, bytes: 0 };
  return { name: 'a', at, hot, failed: [], work };
}

/** What the server tells is what the page takes. */
const received = (told: Told): ServedArchive => told;

function sampled(...figures: readonly Told[]): ArchiveSamples {
  const samples = new ArchiveSamples();
  for (const one of figures) samples.add(received(one));
  return samples;
}

test('counters become rates over the time between', () => {
  const samples = sampled(working(1_000, 10), working(3_000, 110, 4));
  expect(samples.all).toEqual([
    { atMs: 1_000, dirty: 7, oldestMarkS: 1.5, failing: 2, frozenPerS: null, failuresPerS: null },
    { atMs: 3_000, dirty: 7, oldestMarkS: 1.5, failing: 2, frozenPerS: 50, failuresPerS: 2 },
  ]);
  expect(samples.columns(['frozenPerS', 'dirty'])).toEqual([
    [1, 3],
    [null, 50],
    [7, 7],
  ]);
});

test('the same figures again, another start and a long pause make no rate', () => {
  const samples = sampled(
    working(1_000, 500),
    working(1_000, 500),
    working(2_000, 10),
    working(80_000, 90),
    working(81_000, 100),
  );
  expect(samples.all.map(({ frozenPerS }) => frozenPerS)).toEqual([null, null, null, 10]);
});

test('what nobody knows is no figure: a hot side that is away, a server that only looks', () => {
  const hotAway = { code: 'unavailable', message: 'away', awayMs: 1 };
  const samples = sampled(
    { name: 'a', at: 1_000, hot, failed: [] },
    { name: 'a', at: 2_000, hotAway, failed: [] },
    { name: 'a', at: 3_000, hot, failed: [] },
  );
  expect(
    samples.columns(['dirty', 'failing', 'oldestMarkS', 'frozenPerS', 'failuresPerS']),
  ).toEqual([
    [1, 2, 3],
    [7, null, 7],
    [2, null, 2],
    [1.5, null, 1.5],
    [null, null, null],
    [null, null, null],
  ]);
});
