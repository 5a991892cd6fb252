/** The work that many commits under way at once make for the sequencer grows as their number does. */
import { expect, test } from 'vitest';
import { lateStore } from '../../../../test/support/late-store.ts';
import { memory } from '../../../drivers/memory/index.ts';
import type { Store } from '../../../store/index.ts';
import { tiered } from '../index.ts';
import type { TieredOptions } from '../options.ts';

type Operation = (store: Store<number>, i: number) => Promise<unknown>;
type Options = Partial<Pick<TieredOptions<number>, 'maxPending' | 'whenFull'>>;

const COUNTED = [Map.prototype, Set.prototype].flatMap((of) =>
  ['get', 'has', 'set', 'add', 'delete', 'keys', 'values', 'entries', 'forEach'].map((name) => ({
    of: of as unknown as Record<string, unknown>,
    name,
  })),
);

/** How often anything is looked up or walked through in a Map or Set while work goes on. */
async function lookUps(work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const restore: (() => void)[] = [];
  for (const { of, name } of COUNTED) {
    const inner = of[name];
    if (typeof inner !== 'function') continue;
    of[name] = function (this: unknown, ...args: unknown[]): unknown {
      count++;
      return Reflect.apply(inner, this, args);
    };
    restore.push(() => {
      of[name] = inner;
    });
  }
  try {
    await work();
  } finally {
    for (const one of restore) one();
  }
  return count;
}

/** The look-ups that one of `count` operations under way at once costs. */
async function costOf(count: number, operation: Operation, options: Options): Promise<number> {
  const store = tiered<number>({
    front: lateStore(memory<number>()),
    back: lateStore(memory<number>()),
    write: 'behind',
    journal: 'volatile',
    ...options,
  });
  await store.set('other', 0);
  const total = await lookUps(() =>
    Promise.allSettled(Array.from({ length: count }, (_, i) => operation(store, i))),
  );
  await store.close();
  return total / count;
}

const absent = { if: 'absent' } as const;
const few = { maxPending: { keys: 10 } } as const;
const cases: Readonly<Record<string, readonly [operation: Operation, options: Options]>> = {
  deletes: [(store, i) => store.delete(`${i}`), {}],
  'deletes of one key': [(store) => store.delete('one'), {}],
  'conditional sets': [(store, i) => store.set(`${i}`, i, absent), {}],
  'conditional sets of one key': [(store, i) => store.set('one', i, absent), {}],
  'sets of a few keys': [(store, i) => store.set(`${i % 3}`, i), {}],
  'batches that share a key': [
    (store, i) =>
      store.batch([
        { type: 'delete', key: `${i}` },
        { type: 'set', key: 'shared', value: i },
      ]),
    {},
  ],
  'sets that wait for room': [(store, i) => store.set(`${i}`, i), few],
  'sets that find no room': [(store, i) => store.set(`${i}`, i), { ...few, whenFull: 'reject' }],
};

test.each(Object.entries(cases))(
  '%s cost the same each, however many there are',
  async (_, [operation, options]) => {
    const ofFew = await costOf(100, operation, options);
    const ofMany = await costOf(800, operation, options);
    expect(ofMany / ofFew).toBeLessThan(1.5);
  },
);
