import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lines, type Ticket } from './sequencer-lines.ts';

/** What the lines stand for: one queue, walked through at each question. */
class PlainQueue {
  #queue: Ticket<Commit>[] = [];

  get size(): number {
    return this.#queue.length;
  }

  get waiting(): readonly Ticket<Commit>[] {
    return this.#queue;
  }

  get due(): Commit | undefined {
    const barred = new Set<string>();
    for (const { commit, held } of this.#queue) {
      const { keys } = commit;
      if (!held && !keys.some((key) => barred.has(key))) return commit;
      for (const key of keys) barred.add(key);
    }
    return undefined;
  }

  enter(ticket: Ticket<Commit>): void {
    this.#queue.push(ticket);
  }

  enterAgain(tickets: readonly Ticket<Commit>[]): void {
    this.#queue = [...tickets, ...this.#queue].sort((a, b) => a.order - b.order);
  }

  leave(ticket: Ticket<Commit>): void {
    this.#queue = this.#queue.filter((other) => other !== ticket);
  }
}

interface Commit {
  readonly keys: readonly string[];
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('enter' as const),
      keys: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), {
        minLength: 1,
        maxLength: 3,
      }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('leave', 'hold', 'release'),
      at: fc.nat({ max: 30 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('take', 'keep', 'return') }) },
);

test('the first that is due is that of a queue walked through', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const lines = new Lines<Commit>();
      const plain = new PlainQueue();
      const tickets = new Map<Commit, Ticket<Commit>>();
      /** Taken in turn, and perhaps to come back. */
      let taken: Ticket<Commit>[] = [];
      for (const one of steps) {
        if ('keys' in one) {
          const commit = { keys: one.keys };
          const ticket = lines.enter(commit, one.keys);
          tickets.set(commit, ticket);
          plain.enter(ticket);
        } else if ('at' in one) {
          const ticket = plain.waiting[one.at % plain.size];
          if (ticket === undefined) continue;
          if (one.do === 'hold') lines.hold(ticket);
          else if (one.do === 'release') lines.release(ticket);
          else {
            expect(lines.leave(ticket)).toBe(true);
            plain.leave(ticket);
          }
        } else if (one.do === 'take') {
          const ticket = lines.due && tickets.get(lines.due);
          if (ticket === undefined) continue;
          expect(lines.leave(ticket)).toBe(true);
          expect(lines.leave(ticket)).toBe(false);
          plain.leave(ticket);
          taken.push(ticket);
        } else {
          if (one.do === 'return') {
            lines.enterAgain(taken);
            plain.enterAgain(taken);
          }
          taken = [];
        }
        expect(lines.due).toBe(plain.due);
        expect(lines.size).toBe(plain.size);
        expect(new Set(lines.all())).toEqual(new Set(plain.waiting.map(({ commit }) => commit)));
      }
    }),
    { numRuns: 500 },
  );
});

test('one that left while it was held is not due when it is released', () => {
  const lines = new Lines<Commit>();
  const ticket = lines.enter({ keys: ['a'] }, ['a']);
  lines.hold(ticket);
  lines.leave(ticket);
  lines.release(ticket);
  expect(lines.due).toBe(undefined);
});
