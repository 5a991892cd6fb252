import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyedQueue } from './keyed-queue.ts';

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

  takeNewer(): readonly Item[] | undefined {
    const { newer } = this;
    this.newer = undefined;
    return newer;
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

const listed = (items: Iterable<Item> | undefined): Item[] | undefined => items && [...items];

const step = fc.record({
  do: fc.constantFrom(
    ...(['put', 'put', 'put', 'putLast', 'putLast', 'delete', 'deleteOlder', 'split'] as const),
    ...(['takeNewer', 'takeOlder', 'take', 'clear'] as const),
  ),
  key: fc.constantFrom('a', 'b', 'c', 'd'),
});

function expectAlike(queue: KeyedQueue<number>, plain: PlainQueue): void {
  const { all } = plain;
  expect(listed(queue.older)).toEqual(plain.older);
  expect(listed(queue.newer)).toEqual(plain.newer);
  expect([...queue.keys()]).toEqual(all.map(([key]) => key));
  expect(queue.isSplit).toBe(plain.newer !== undefined);
  expect(queue.length).toBe(all.length);
  expect(queue.size).toBe(new Set(queue.keys()).size);
  expect(queue.overlaps).toBe(queue.size < queue.length);
  expect(queue.first).toBe(all[0]?.[1]);
  for (const key of ['a', 'b', 'c', 'd'])
    expect(queue.get(key)).toBe(all.findLast(([other]) => other === key)?.[1]);
}

test('is two lists of items, whatever is done', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      let queue = new KeyedQueue<number>();
      let plain = new PlainQueue();
      for (const [item, one] of steps.entries()) {
        switch (one.do) {
          case 'put':
          case 'putLast':
            queue[one.do](one.key, item);
            plain[one.do](one.key, item);
            break;
          case 'delete':
          case 'deleteOlder':
            queue[one.do](one.key);
            plain[one.do](one.key);
            break;
          case 'split':
            queue.split();
            plain.split();
            break;
          case 'takeNewer':
            expect(listed(queue.takeNewer())).toEqual(plain.takeNewer());
            break;
          case 'takeOlder':
            expect(listed(queue.takeOlder().older)).toEqual(plain.takeOlder());
            break;
          case 'take': {
            const taken = queue.take();
            expect(queue.length).toBe(0);
            // What was taken goes on as it was.
            queue = taken;
            break;
          }
          case 'clear':
            queue.clear();
            plain = new PlainQueue();
        }
        expectAlike(queue, plain);
      }
    }),
    { numRuns: 500 },
  );
});
