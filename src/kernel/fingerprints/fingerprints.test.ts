import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareSets,
  differences,
  type Entries,
  fill,
  sortedKeys,
} from '../../../test/support/compared-sets.ts';
import { compareKeys } from '../../store/keys.ts';
import { Answerer } from './answerer.ts';
import { Asker } from './asker.ts';
import { Fingerprinter, isSameSum, RunningSum, type Seed } from './fingerprint.ts';
import { MAX_LISTED, MAX_SPANS, type Part } from './messages.ts';
import { RangeSums } from './range-sums.ts';

const SEED: Seed = [1, 2, 3, 4];
const whole = { lower: '', upper: undefined };

describe('a fingerprint', () => {
  it('depends on every place of key and stamp, on where one ends, and on the seed', () => {
    const texts: [string, string][] = [
      ['ab', 'c'],
      ['a', 'bc'],
      ['abc', ''],
      ['', 'abc'],
      ['ab', 'd'],
      ['ab', 'c\u0000'],
      ['\u0000ab', 'c'],
      ['ba', 'c'],
    ];
    const seen = new Set<string>();
    for (const seed of [SEED, [1, 2, 3, 5]] as Seed[])
      for (const [key, stamp] of texts) {
        const { a, b, c, d } = new Fingerprinter(seed).take(key, stamp);
        seen.add([a, b, c, d].join());
      }
    expect(seen.size).toBe(texts.length * 2);
  });

  it('changes half of its bits with each bit of the text', () => {
    const taker = new Fingerprinter(SEED);
    const lanes = (text: string): number[] => {
      const { a, b, c, d } = taker.take('key', text);
      return [a, b, c, d];
    };
    const flips = new Array<number>(128).fill(0);
    let trials = 0;
    for (let n = 0; n < 400; n++) {
      const text = `version-${n}.${n.toString(36)}`;
      const before = lanes(text);
      for (let bit = 0; bit < 7; bit++) {
        const at = (n * 7 + bit) % text.length;
        const unit = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit));
        const after = lanes(text.slice(0, at) + unit + text.slice(at + 1));
        trials++;
        for (let i = 0; i < 128; i++) {
          const difference = (before[i >> 5] as number) ^ (after[i >> 5] as number);
          flips[i] = (flips[i] as number) + ((difference >>> (i & 31)) & 1);
        }
      }
    }
    for (const count of flips) expect(Math.abs(count / trials - 0.5)).toBeLessThan(0.05);
  });

  it('collides in 32 bits of each lane, and of sums, as often as chance has it', () => {
    const taker = new Fingerprinter(SEED);
    const names = 200_000;
    const lanes = ['a', 'b', 'c', 'd'] as const;
    const single = lanes.map(() => new Uint32Array(names));
    const summed = lanes.map(() => new Uint32Array(names));
    const sum = new RunningSum();
    for (let n = 0; n < names; n++) {
      sum.add(taker.take(`key:${n}`, `version.${n.toString(36)} ${n}`));
      for (const [i, lane] of lanes.entries()) {
        (single[i] as Uint32Array)[n] = taker[lane];
        (summed[i] as Uint32Array)[n] = sum[lane];
      }
    }
    // n^2 / 2^33 = 4.7 of them are expected in each.
    for (const values of [...single, ...summed]) {
      const distinct = new Set(values).size;
      expect(names - distinct).toBeLessThan(20);
    }
  });
});

const key = fc.oneof(
  fc.nat(400).map((n) => `key:${n}`),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }),
);
const entries = fc
  .array(fc.tuple(key, fc.nat(3)), { maxLength: 300 })
  .map((list): Entries => new Map(list.map(([name, stamp]) => [name, `${stamp}`])));
const change = fc.tuple(key, fc.option(fc.nat(3), { nil: undefined }));
const changes = fc.array(change, { maxLength: 60 });

function changed(from: Entries, by: readonly (readonly [string, number | undefined])[]): Entries {
  const to = new Map(from);
  for (const [name, stamp] of by)
    if (stamp === undefined) to.delete(name);
    else to.set(name, `${stamp}`);
  return to;
}

describe('the comparison of ranges', () => {
  it('finds exactly what differs between any two sets', () => {
    fc.assert(
      fc.property(
        entries,
        changes,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 2, max: 20 }),
        fc.integer({ min: 1, max: 3_000 }),
        (theirs, by, bucketKeys, fanOut, answerBytes) => {
          const own = changed(theirs, by);
          const found = compareSets(theirs, own, { bucketKeys, fanOut, answerBytes });
          expect(found.wanted).toEqual(differences(theirs, own));
        },
      ),
      { numRuns: 400 },
    );
  });

  it('finds every difference of all sets of up to four keys', () => {
    const all = 3 ** 4;
    const setOf = (n: number): Entries => {
      const made: [string, string][] = [];
      for (let i = 0, rest = n; i < 4; i++, rest = Math.floor(rest / 3))
        if (rest % 3 > 0) made.push(['abcd'[i] as string, `${rest % 3}`]);
      return new Map(made);
    };
    for (let i = 0; i < all; i++)
      for (let j = 0; j < all; j++) {
        const [theirs, own] = [setOf(i), setOf(j)];
        const found = compareSets(theirs, own, { bucketKeys: 1, fanOut: 2 });
        expect(found.wanted).toEqual(differences(theirs, own));
      }
  });

  it('stays exact while the answerer changes between comparisons, and reads only what changed', () => {
    fc.assert(
      fc.property(
        entries,
        fc.array(fc.tuple(changes, changes, fc.boolean()), { maxLength: 6 }),
        fc.integer({ min: 1, max: 10 }),
        (first, rounds, bucketKeys) => {
          let theirs = first;
          const sums = new RangeSums(bucketKeys);
          for (const [by, apart, compacts] of rounds) {
            theirs = changed(theirs, by);
            for (const [name] of by) sums.touch(name);
            if (compacts) sums.compact();
            const own = changed(theirs, apart);
            const found = compareSets(theirs, own, { bucketKeys, sums, fanOut: 4 });
            expect(found.wanted).toEqual(differences(theirs, own));
            expect(sums.count).toBe(theirs.size);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('reads 100,000 entries once, and then a bucket for a change', () => {
    const theirs = fill(100_000);
    const sums = new RangeSums();
    expect(compareSets(theirs, theirs, { sums }).scanned).toBe(100_000);
    expect(compareSets(theirs, theirs, { sums }).scanned).toBe(0);
    theirs.set('key:5', 'changed');
    sums.touch('key:5');
    const { scanned } = compareSets(theirs, theirs, { sums });
    expect(scanned).toBeGreaterThan(0);
    expect(scanned).toBeLessThanOrEqual(64);
    expect(sums.size).toBeLessThan(100_000 / 30);
  });

  it('reads again what ends by itself, once it has ended', () => {
    const sums = new RangeSums(4);
    const theirs = new Map([
      ['a', '1'],
      ['b', '1'],
    ]);
    compareSets(theirs, theirs, { sums, expiresAt: (name) => (name === 'b' ? 50 : undefined) });
    sums.expire(49);
    expect(compareSets(theirs, theirs, { sums }).scanned).toBe(0);
    sums.expire(50);
    theirs.delete('b');
    expect(compareSets(theirs, theirs, { sums }).wanted).toEqual([]);
    expect(sums.count).toBe(1);
  });

  it('joins buckets that have become empty', () => {
    const theirs = fill(10_000);
    const sums = new RangeSums();
    compareSets(theirs, theirs, { sums });
    for (const name of sortedKeys(theirs).slice(0, 9_900)) {
      theirs.delete(name);
      sums.touch(name);
    }
    compareSets(theirs, theirs, { sums });
    sums.compact();
    expect(sums.size).toBeLessThan(10);
    expect(compareSets(theirs, new Map(), { sums }).wanted).toEqual(sortedKeys(theirs));
  });

  it('gives up when more than half differs', () => {
    const theirs = fill(20_000);
    const own = new Map([...theirs].map(([name, stamp]) => [name, `other ${stamp}`]));
    const found = compareSets(theirs, own, { differing: 0.5 });
    expect(found.gaveUp).toBe(true);
    expect(found.listed).toBeLessThan(12_000);
  });
});

describe('a hostile answer', () => {
  const asker = (limits: ConstructorParameters<typeof Asker>[2] = {}): Asker => {
    const made = new Asker(new Fingerprinter(SEED), whole, limits);
    made.next();
    return made;
  };
  const sum = (count: number) => ({ count, a: 1, b: 2, c: 3, d: 4 });
  const take = (to: Asker, parts: readonly Part[]): void => {
    for (const comparison of to.take({ parts })) comparison.end();
  };

  it.each<[string, readonly Part[]]>([
    ['nothing', []],
    ['more than was asked', new Array(2).fill({ kind: 'list', keys: [], marks: [] })],
    ['one part', [{ kind: 'split', bounds: [], sums: [sum(1)] }]],
    ['bounds missing', [{ kind: 'split', bounds: [], sums: [sum(1), sum(2)] }]],
    ['bounds equal', [{ kind: 'split', bounds: ['a', 'a'], sums: [sum(1), sum(2), sum(3)] }]],
    ['bounds falling', [{ kind: 'split', bounds: ['b', 'a'], sums: [sum(1), sum(2), sum(3)] }]],
    ['an empty bound', [{ kind: 'split', bounds: [''], sums: [sum(1), sum(2)] }]],
    [
      'too many parts',
      [
        {
          kind: 'split',
          bounds: Array.from({ length: 64 }, (_, i) => String.fromCharCode(100 + i)),
          sums: Array.from({ length: 65 }, () => sum(1)),
        },
      ],
    ],
    ['keys falling', [{ kind: 'list', keys: ['b', 'a'], marks: [0, 0, 0, 0] }]],
    ['a key twice', [{ kind: 'list', keys: ['a', 'a'], marks: [0, 0, 0, 0] }]],
    ['marks missing', [{ kind: 'list', keys: ['a', 'b'], marks: [0, 0] }]],
    [
      'too many keys',
      [
        {
          kind: 'list',
          keys: Array.from({ length: MAX_LISTED + 1 }, (_, i) => String.fromCharCode(100 + i)),
          marks: new Array((MAX_LISTED + 1) * 2).fill(0),
        },
      ],
    ],
  ])('is refused: %s', (_, parts) => {
    expect(() => take(asker(), parts)).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });

  it('is refused when it names keys of another range', () => {
    const made = asker();
    take(made, [{ kind: 'split', bounds: ['m'], sums: [sum(1), sum(1)] }]);
    made.next();
    expect(() => take(made, [{ kind: 'list', keys: ['n'], marks: [0, 0] }])).toThrow(/outside/);
  });

  it('cannot split without end, name without end, or make the asker keep without end', () => {
    const deep = asker();
    let bound = 'b';
    const split = (): void => {
      bound = `a${bound}`;
      take(deep, [{ kind: 'split', bounds: [bound], sums: [sum(1), sum(0)] }]);
      deep.next();
    };
    expect(() => {
      for (let i = 0; i < 100; i++) split();
    }).toThrow(/without end/);
    expect(() =>
      take(asker({ named: 1 }), [{ kind: 'list', keys: ['a', 'b'], marks: [0, 0, 0, 0] }]),
    ).toThrow(/too many/);
    const full = asker({ waiting: 1 });
    take(full, [{ kind: 'split', bounds: ['m'], sums: [sum(1), sum(1)] }]);
    expect(full.next()).toEqual({ do: 'give-up' });
    const wanting = asker({ wantedUnits: 1 });
    take(wanting, [{ kind: 'list', keys: ['aa', 'bb'], marks: [0, 0, 0, 0] }]);
    expect(wanting.next()).toEqual({ do: 'give-up' });
  });
});

describe('a hostile question', () => {
  const ask = (spans: readonly { lower: string; upper: string | undefined }[]): unknown => {
    const sums = new RangeSums(2);
    const theirs = fill(40);
    compareSets(theirs, theirs, { sums });
    const answerer = new Answerer(sums, new Fingerprinter(SEED), { answerBytes: 1_000 });
    const steps = answerer.answer({ spans });
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      for (const name of sortedKeys(theirs))
        if (compareKeys(step.value.span.lower, name) <= 0) step.value.add({ key: name, stamp: '' });
    }
  };

  it.each([
    ['nothing', []],
    ['too much', new Array(MAX_SPANS + 1).fill(whole)],
    ['an empty range', [{ lower: 'a', upper: 'a' }]],
    ['ranges that overlap', [whole, whole]],
    [
      'ranges out of order',
      [
        { lower: 'b', upper: 'c' },
        { lower: 'a', upper: 'b' },
      ],
    ],
  ])('is refused: %s', (_, spans) => {
    expect(() => ask(spans)).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });

  it('for a range that was never given out is not answered', () => {
    expect(ask([{ lower: 'key:1x', upper: undefined }])).toBe('unknown');
  });
});

it('sums are the same whatever the order', () => {
  const taker = new Fingerprinter(SEED);
  const [x, y] = [new RunningSum(), new RunningSum()];
  const names = sortedKeys(fill(100));
  for (const name of names) x.add(taker.take(name, 's'));
  for (const name of names.reverse()) y.add(taker.take(name, 's'));
  expect(isSameSum(x, y)).toBe(true);
});
