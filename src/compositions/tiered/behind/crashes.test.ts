/**
 * Random runs of writers and readers on a store that is written behind, whose back and journal fail,
 * hang, lose answers and apply late, and whose process ends at any moment: nothing acknowledged is
 * ever lost or comes back, and in the end the back holds what was acknowledged last.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BehindWorld, LEASE_MS, type Process } from '../../../../test/support/behind-world.ts';
import { type Fate, given } from '../../../../test/support/journal-world.ts';
import { isStrataError } from '../../../store/index.ts';
import type { TieredOptions } from '../options.ts';

const KEYS = ['a', 'b', 'c'] as const;

const step = fc.record({
  kind: fc.constantFrom(
    ...(['set', 'set', 'set', 'delete', 'batch', 'get', 'list', 'getMany', 'count'] as const),
    ...(['advance', 'crash', 'close', 'back', 'journal', 'hang', 'fail', 'flush'] as const),
  ),
  key: fc.constantFrom(...KEYS),
  /** Whether the next step waits for this one. */
  waits: fc.boolean(),
  fate: fc.constantFrom<Fate>('lost', 'gone', 'refused', 1, 3, 8, 20),
  dice: fc.integer({ min: 0, max: 5 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What is known of a key. */
interface Known {
  /** Acknowledged last; `undefined`: it does not exist. */
  certain: unknown;
  /** Values of writes whose outcome nobody knows, or that are under way. */
  readonly maybe: Set<unknown>;
}

class Run {
  readonly #world: BehindWorld;
  readonly #keepsFront: boolean;
  #process: Process;
  readonly #known = new Map<string, Known>(
    KEYS.map((key) => [key, { certain: undefined, maybe: new Set() }]),
  );
  /** The last operation on each key: those on one key follow one another. */
  #last = new Map<string, Promise<unknown>>();
  #count = 0;
  #counted = 0;
  #tried = 0;

  constructor(options: Partial<TieredOptions<unknown>>, keepsFront: boolean) {
    this.#world = new BehindWorld(options, keepsFront);
    this.#keepsFront = keepsFront;
    this.#process = this.#world.start();
  }

  async do(one: Step): Promise<void> {
    const { env } = this.#world;
    const { parts, plans, store } = this.#process;
    switch (one.kind) {
      case 'advance':
        return env.advance(one.dice * 40);
      case 'back':
      case 'journal':
        parts[one.kind].fates.push(one.fate);
        return;
      case 'hang':
        plans.back.hangNext('commit', { applied: one.dice % 2 === 0 });
        return;
      case 'fail':
        // A front that outlives its process keeps for the next what it could not let go of.
        plans[one.dice < 3 || this.#keepsFront ? 'back' : 'front'].failNext(
          one.dice % 2 === 0 ? 'read' : 'commit',
        );
        return;
      case 'crash':
        return this.#restart();
      case 'close': {
        await given(env, store.close({ drainMs: one.dice * 20 }));
        return this.#restart();
      }
      default: {
        const doing = this.#act(one);
        if (one.waits) await given(env, doing);
      }
    }
  }

  async end(): Promise<void> {
    const { env, back } = this.#world;
    await this.#restart();
    const { store } = this.#process;
    const pending = await given(env, store.flush());
    expect(pending).toMatchObject({ keys: 0, deadLetters: 0 });
    for (const key of KEYS) {
      const value = await given(env, store.get(key));
      this.#check(key, value);
      expect(await back.get(key)).toBe(value);
    }
    const n = ((await given(env, store.get('n'))) as number | undefined) ?? 0;
    expect(n).toBeGreaterThanOrEqual(this.#counted);
    expect(n).toBeLessThanOrEqual(this.#tried);
    const listed = await given(env, Array.fromAsync(store.list()));
    const entries = await given(env, store.getEntries(listed.map(({ key }) => key)));
    expect([...entries.values()]).toEqual(listed);
    await given(env, store.close());
    expect(store.pending()).toMatchObject({ keys: 0 });
  }

  async #restart(): Promise<void> {
    this.#process.kill();
    for (const plan of Object.values(this.#process.plans)) plan.heal();
    for (const part of Object.values(this.#process.parts)) await part.landAll();
    this.#last = new Map();
    this.#process = this.#world.start();
    await this.#world.env.advance(LEASE_MS);
  }

  #act({ kind, key, dice }: Step): Promise<unknown> {
    const { store } = this.#process;
    const value = ++this.#count;
    const mine = this.#process;
    const after = (keys: readonly string[], work: () => Promise<unknown>): Promise<unknown> => {
      const before = Promise.all(keys.map((one) => this.#last.get(one)));
      const doing = before.then(() => (this.#process === mine ? work() : undefined));
      // What fails is judged where it was begun.
      const done = doing.catch((error: unknown) => {
        if (!isStrataError(error)) throw error;
      });
      for (const one of keys) this.#last.set(one, done);
      return done;
    };
    const read = (keys: readonly string[], look: () => Promise<unknown[]>) =>
      after(keys, async () => {
        const values = await look();
        if (this.#process !== mine) return;
        for (const [i, one] of keys.entries()) this.#check(one, values[i]);
      });
    switch (kind) {
      case 'set':
        return after([key], () =>
          this.#write({ [key]: value }, () =>
            store.set(key, value, dice === 0 ? { timeoutMs: 30 } : {}),
          ),
        );
      case 'delete':
        return after([key], () => this.#write({ [key]: undefined }, () => store.delete(key)));
      case 'batch':
        return after(KEYS, () =>
          this.#write({ a: value, b: undefined, c: value }, () =>
            store.batch([
              { type: 'set', key: 'a', value },
              { type: 'delete', key: 'b' },
              { type: 'set', key: 'c', value },
            ]),
          ),
        );
      case 'get':
        return read([key], async () => [await store.get(key)]);
      case 'getMany':
        return read(KEYS, async () => {
          const found = await store.getMany(KEYS);
          return KEYS.map((one) => found.get(one));
        });
      case 'list':
        return read(KEYS, async () => {
          const found = new Map<string, unknown>();
          for await (const one of store.list({ reverse: dice % 2 === 0 }))
            found.set(one.key, one.value);
          return KEYS.map((one) => found.get(one));
        });
      case 'count':
        this.#tried++;
        return after([], () =>
          store
            .update('n', (n) => ((n as number | undefined) ?? 0) + 1)
            .then(() => {
              this.#counted++;
            }),
        );
      default:
        return after([], () => store.flush({ timeoutMs: 100 }));
    }
  }

  async #write(values: Record<string, unknown>, work: () => Promise<unknown>): Promise<void> {
    const mine = this.#process;
    for (const [key, value] of Object.entries(values)) this.#of(key).maybe.add(value);
    try {
      await work();
    } catch (error) {
      // Another process may have gone on from there meanwhile.
      if (this.#process === mine && !isStrataError(error, 'unknown-outcome'))
        for (const [key, value] of Object.entries(values)) this.#of(key).maybe.delete(value);
      throw error;
    }
    // Of a process that has ended nobody hears an answer.
    if (this.#process !== mine) return;
    for (const [key, value] of Object.entries(values)) {
      const known = this.#of(key);
      known.certain = value;
      known.maybe.clear();
    }
  }

  #check(key: string, value: unknown): void {
    const { certain, maybe } = this.#of(key);
    expect([certain, ...maybe]).toContain(value);
  }

  #of(key: string): Known {
    return this.#known.get(key) as Known;
  }
}

const setups: Record<string, [Partial<TieredOptions<unknown>>, boolean]> = {
  'with a front that ends with the process': [{}, false],
  'with a front that outlives it': [{}, true],
  'with a breaker that opens at once, and little room': [
    { breaker: { failures: 1, pauseMs: 50 }, maxPending: { keys: 2, bytes: 600 } },
    true,
  ],
  'with changes of others in mind': [{ onConflict: 'keep-back' }, true],
};

describe('whatever fails, and whenever the process ends', () => {
  for (const [name, [options, keepsFront]] of Object.entries(setups))
    it(name, { timeout: 60_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 3, maxLength: 40, size: 'max' }),
          async (steps) => {
            const run = new Run(options, keepsFront);
            for (const one of steps) await run.do(one);
            await run.end();
          },
        ),
        { numRuns: 120, interruptAfterTimeLimit: 20_000 },
      );
    });
});
