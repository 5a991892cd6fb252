import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyedQueue, type Run } from './keyed-queue.ts';

type Item = readonly [key: string, item: number];

/** What the queue stands for: two lists. */
class PlainQueue {
  older: Item[] = [];
  newer: Item[] | undefined;

  get #last(): Item[] {
    return this.newer ?? this.older;
  }

  get all(): readonly Item[] {
    return [...this.older, ...(this.newer ?? [])];
  }

  put(key: string, item: number): void {
    const at = this.#last.findIndex(([other]) => other === key);
    if (at < 0) this.#last.push([key, item]);
    else this.#last[at] = [key, item];
  }

  delete(key: string): void {
    if (this.newer === undefined) this.older = without(this.older, key);
    else this.newer = without(this.newer, key);
  }

  putLast(key: string, item: number): void {
    this.delete(key);
    this.put(key, item);
  }

  deleteOlder(key: string): void {
    this.older = without(this.older, key);
  }

  split(): void {
    if (this.newer !== undefined && this.older.length > 0) return;
    this.older = this.all.slice();
    this.newer = [];
  }

  takeNewer(): readonly Item[] {
    const { newer = [] } = this;
    this.newer = undefined;
    return newer;
  }

  clear(): void {
    this.older = [];
    this.newer = undefined;
  }

  takeOlder(): readonly Item[] {
    const { older } = this;
    this.older = this.newer ?? [];
    this.newer = undefined;
    return older;
  }
}

const without = (items: readonly Item[], key: string): Item[] =>
  items.filter(([other]) => other !== key);

const KEYS = ['a', 'b', 'c', 'd'] as const;
const step = fc.record({
  do: fc.constantFrom(
    ...(['put', 'put', 'put', 'putLast', 'putLast', 'delete', 'deleteOlder', 'split'] as const),
    ...(['takeNewer', 'takeOlder', 'keep', 'forget', 'clear'] as const),
  ),
  key: fc.constantFrom(...KEYS),
});

/** Something under a number. */
interface Numbered {
  readonly item: number;
}

const itemsOf = ({ slots, items }: Run<Numbered>): Item[] =>
  items.map(({ item }, i) => [slots[i]?.key ?? '', item]);

/** All that can be asked of the queue. */
function answersOf(queue: KeyedQueue<Numbered>): unknown {
  return {
    older: queue.older().map(({ item }) => item),
    keys: [...queue.keys()],
    isSplit: queue.isSplit,
    length: queue.length,
    size: queue.size,
    overlaps: queue.overlaps,
    first: queue.first?.item,
    kept: [...queue.keptKeys()].sort(),
    slots: KEYS.map((key) => {
      const { older, newer, kept = false } = queue.slot(key) ?? {};
      return [queue.get(key)?.item, older?.item, newer?.item, kept];
    }),
  };
}

/** The same, of the lists. */
function expectedOf({ all, older, newer }: PlainQueue, kept: ReadonlySet<string>): unknown {
  const keys = all.map(([key]) => key);
  const size = new Set(keys).size;
  const at = (key: string, items: readonly Item[] = []) =>
    items.find(([other]) => other === key)?.[1];
  return {
    older: older.map(([, item]) => item),
    keys,
    isSplit: newer !== undefined,
    length: all.length,
    size,
    overlaps: size < all.length,
    first: all[0]?.[1],
    kept: [...kept].sort(),
    slots: KEYS.map((key) => {
      const [inOlder, inNewer] = [at(key, older), at(key, newer)];
      return [inNewer ?? inOlder, inOlder, inNewer, kept.has(key)];
    }),
  };
}

/** Does the same to both. */
function run(
  one: { readonly do: (typeof step extends fc.Arbitrary<infer S> ? S : never)['do']; key: string },
  item: number,
  queue: KeyedQueue<Numbered>,
  plain: PlainQueue,
  kept: Set<string>,
): void {
  const { key } = one;
  switch (one.do) {
    case 'put':
      queue.put(key, { item });
      plain.put(key, item);
      break;
    case 'putLast': {
      const former = queue.get(key);
      expect(queue.putLast(key, { item })).toBe(former);
      plain.putLast(key, item);
      break;
    }
    case 'delete':
      queue.delete(key);
      plain.delete(key);
      break;
    case 'deleteOlder': {
      const slot = queue.slot(key);
      if (slot !== undefined) queue.deleteOlder(slot);
      plain.deleteOlder(key);
      break;
    }
    case 'split':
      queue.split();
      plain.split();
      break;
    case 'takeNewer':
    case 'takeOlder': {
      const taken = queue[one.do]();
      expect(itemsOf(taken)).toEqual(plain[one.do]());
      queue.release(taken);
      break;
    }
    case 'keep':
      queue.keepKey(key);
      kept.add(key);
      break;
    case 'forget': {
      const slot = queue.slot(key);
      if (slot !== undefined) queue.keep(slot, false);
      kept.delete(key);
      break;
    }
    case 'clear':
      queue.clear();
      plain.clear();
  }
}

test('is two lists of items, whatever is done', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const queue = new KeyedQueue<Numbered>();
      const plain = new PlainQueue();
      const kept = new Set<string>();
      for (const [item, one] of steps.entries()) {
        run(one, item, queue, plain, kept);
        expect(JSON.stringify(answersOf(queue))).toBe(JSON.stringify(expectedOf(plain, kept)));
      }
    }),
    { numRuns: 300 },
  );
});

test('the oldest is found, and places are used again, while items come and go for ever', () => {
  const queue = new KeyedQueue<Numbered>();
  for (let item = 0; item < 10_000; item++) {
    queue.putLast(`${item % 5}`, { item });
    expect(queue.first?.item).toBe(Math.max(0, item - 4));
  }
  queue.split();
  for (let item = 10_000; item < 20_000; item++) queue.putLast(`${item % 5}`, { item });
  for (let item = 9_995; item < 10_000; item++) {
    expect(queue.first?.item).toBe(item);
    const slot = queue.slot(`${item % 5}`);
    if (slot !== undefined) queue.deleteOlder(slot);
  }
  expect(queue.first?.item).toBe(19_995);
  expect(queue.length).toBe(5);
});

test('keys of which nothing is left are forgotten, but those that may come again at once', () => {
  const queue = new KeyedQueue<Numbered>();
  const pass = (...keys: readonly string[]): void => {
    for (const [item, key] of keys.entries()) queue.put(key, { item });
    queue.release(queue.takeOlder());
  };
  pass('a', 'b');
  expect(queue.slot('a')).not.toBe(undefined);
  pass('c', 'd');
  expect(queue.slot('a')).toBe(undefined);
  pass('e', 'f');
  queue.forgetIdle();
  expect(queue.slot('e')).toBe(undefined);
  queue.keepKey('kept');
  pass('g', 'h');
  expect(queue.slot('g')).toBe(undefined);
  expect([...queue.keptKeys()]).toEqual(['kept']);
});
