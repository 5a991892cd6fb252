import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { ReturnFlow } from './return-flow.ts';

/** Work whose steps are taken by hand. */
class Hand {
  readonly begun: string[] = [];
  readonly #onFetched = new Map<string, (bytes: number) => void>();
  readonly #done = new Map<string, (again: string | undefined) => void>();

  readonly work = (
    one: string,
    onFetched: (bytes: number) => void,
  ): Promise<string | undefined> => {
    this.begun.push(one);
    this.#onFetched.set(one, onFetched);
    return new Promise((resolve) => this.#done.set(one, resolve));
  };

  fetched(one: string, bytes = 1): void {
    this.#onFetched.get(one)?.(bytes);
  }

  async restored(one: string, again?: string): Promise<void> {
    this.#done.get(one)?.(again);
    await setImmediate();
  }
}

it('fetches the next while values wait to be restored, up to a bound', async () => {
  const hand = new Hand();
  const over = new ReturnFlow({ fetching: 1, restoring: 4 }, [...'abcdefg'], hand.work).run();
  for (const one of 'abcd') hand.fetched(one);
  expect(hand.begun.join('')).toBe('abcde');
  hand.fetched('e');
  expect(hand.begun.join('')).toBe('abcde');
  await hand.restored('b');
  // For `e` there was no room: it counts as being fetched until it is restored.
  expect(hand.begun.join('')).toBe('abcde');
  await hand.restored('e');
  expect(hand.begun.join('')).toBe('abcdef');
  hand.fetched('f');
  for (const one of 'acdfg') await hand.restored(one);
  await over;
});

it('holds no more bytes that wait than a bound, and those that are being fetched', async () => {
  const hand = new Hand();
  const over = new ReturnFlow({ fetching: 2, restoring: 4 }, [...'abcd'], hand.work).run();
  hand.fetched('a', 1024 * 1024);
  expect(hand.begun.join('')).toBe('abc');
  hand.fetched('b', 1);
  hand.fetched('c', 1);
  expect(hand.begun.join('')).toBe('abc');
  await hand.restored('a');
  await hand.restored('b');
  expect(hand.begun.join('')).toBe('abcd');
  for (const one of 'cd') await hand.restored(one);
  await over;
});

it('works once more on what is given back, after the others, and is over when nothing is left', async () => {
  const one = { fetching: 1, restoring: 1 };
  await new ReturnFlow(one, [], () => Promise.resolve(undefined)).run();
  const hand = new Hand();
  let isOver = false;
  const over = new ReturnFlow(one, ['a', 'b'], hand.work).run().then(() => {
    isOver = true;
  });
  hand.fetched('a');
  await hand.restored('a', 'a once more');
  await hand.restored('b');
  expect(hand.begun).toEqual(['a', 'b', 'a once more']);
  expect(isOver).toBe(false);
  await hand.restored('a once more');
  await over;
});
