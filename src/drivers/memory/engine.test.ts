import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { isStrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { BatchWrite } from '../../store/operations.ts';
import { systemEnv } from '../../store/system-env.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { memory } from './index.ts';

function steppedEnv(): Env & { nowMs: number } {
  return { ...systemEnv, nowMs: 1_000, now: envNow };
}
function envNow(this: { nowMs: number }): number {
  return this.nowMs;
}

describe('the fast way of get', () => {
  it('agrees with the ordinary way after any writes, expiry included', async () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const step = fc.oneof(
      fc.record({
        set: key,
        value: fc.constantFrom<unknown>(null, 0, '', false, 1, 'x'),
        ttlMs: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
      }),
      fc.record({ delete: key }),
      fc.record({ passMs: fc.integer({ min: 1, max: 60 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const env = steppedEnv();
        const store = memory({ env });
        for (const next of steps) {
          if ('set' in next)
            store.blocking.set(next.set, next.value, { ...(next.ttlMs && { ttlMs: next.ttlMs }) });
          else if ('delete' in next) store.blocking.delete(next.delete);
          else env.nowMs += next.passMs;
          for (const name of ['a', 'b', 'c']) {
            const entry = await store.getEntry(name);
            expect(await store.get(name)).toBe(entry?.value);
            expect(store.blocking.get(name)).toBe(entry?.value);
          }
        }
        await store.close();
      }),
      { numRuns: 300 },
    );
  });

  it('hands out nothing under a reserved key and refuses it', async () => {
    const store = memory();
    const call = Call.background(systemEnv, 'test');
    await primitivesOf(store).commit([{ type: 'set', key: '\u0000mine', value: 1 }], call);
    await expect(store.get('\u0000mine')).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(() => store.blocking.get('\u0000mine')).toThrow(/reserved/);
  });

  it('refuses what is no key, and a closed store', async () => {
    const store = memory();
    store.blocking.set('a', 1);
    await expect(store.get('')).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(store.get(5 as never)).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(() => store.blocking.get('\ud800')).toThrow(/well-formed/);
    const closing = store.close();
    await expect(store.get('a')).rejects.toMatchObject({ code: 'closed' });
    expect(() => store.blocking.get('a')).toThrow(/closed/);
    await closing;
  });

  it('copies what it hands out, unless asked not to', async () => {
    const guarded = memory<{ n: number }>();
    await guarded.set('a', { n: 1 });
    (guarded.blocking.get('a') as { n: number }).n = 2;
    ((await guarded.get('a')) as { n: number }).n = 3;
    expect(await guarded.get('a')).toEqual({ n: 1 });
    const value = { n: 1 };
    const shared = memory<{ n: number }>({ zeroCopy: true });
    await shared.set('a', value);
    expect(await shared.get('a')).toBe(value);
  });
});

describe('a commit', () => {
  it('folds writes to one key and keeps the order of the last ones', async () => {
    const store = memory();
    const seen = store.watch()[Symbol.asyncIterator]();
    const first = seen.next();
    await store.batch([
      { type: 'set', key: 'a', value: 1 },
      { type: 'set', key: 'b', value: 2 },
      { type: 'set', key: 'gone', value: 0 },
      { type: 'delete', key: 'gone' },
      { type: 'set', key: 'a', value: 3 },
    ]);
    const commit = (await first).value;
    expect(commit.writes.map((write: { key: string }) => write.key)).toEqual(['b', 'a']);
    expect(commit.writes[1]).toMatchObject({ type: 'set', key: 'a', value: 3, rev: 1 });
    await store.close();
  });

  it('takes an immutable value twice in one batch, and no other', async () => {
    const store = memory();
    const same = { type: 'set', key: 'a', value: 1, immutable: true } as const;
    const { results } = await store.batch([same, same]);
    expect(results.map((result) => result.existed)).toEqual([false, true]);
    await expect(
      store.batch([
        { ...same, key: 'b' },
        { ...same, key: 'b', value: 2 },
      ]),
    ).rejects.toMatchObject({ code: 'conflict', key: 'b' });
    expect(await store.has('b')).toBe(false);
  });
});

describe('a reader paused within a commit', () => {
  it('is told when a delete further on in that commit was forgotten meanwhile', async () => {
    const store = memory<number>({ logBytes: 0, tombstoneBytes: 300 });
    const { feed, env } = primitivesOf(store);
    await store.set('gone', 1);
    const { head } = await (feed as NonNullable<typeof feed>).state(Call.background(env, 'test'));
    const sets = Array.from({ length: 1_500 }, (_, i) => ({
      type: 'set' as const,
      key: `k${i}`,
      value: i,
    }));
    await store.batch([...sets, { type: 'delete', key: 'gone' }]);
    const pages = feed?.read(head, Call.background(env, 'test'))[Symbol.asyncIterator]();
    const first = await pages?.next();
    expect(first?.value?.end).toBeUndefined();
    // These deletes push the one that the reader has yet to reach out of memory.
    await store.deleteMany(['k0', 'k1', 'k2', 'k3']);
    await expect(pages?.next()).rejects.toMatchObject({ code: 'cursor-expired' });
    await store.close();
  });
});

describe('a batch of sets alone', () => {
  const set = fc
    .record({
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      value: fc.nat(2),
      wanted: fc.constantFrom('absent' as const, undefined, undefined, undefined),
      immutable: fc.constantFrom(true as const, undefined, undefined),
      ttlMs: fc.constantFrom(1, 1_000, undefined, undefined, undefined),
    })
    .map(
      ({ key, value, wanted, immutable, ttlMs }): BatchWrite<number> => ({
        type: 'set',
        key,
        value,
        ...(wanted && { if: wanted }),
        ...(immutable && { immutable }),
        ...(ttlMs && { ttlMs }),
      }),
    );

  it('does what it does beside a delete of nothing, which takes the long way', async () => {
    const once = fc.uniqueArray(set, { selector: ({ key }) => key, minLength: 1 });
    const repeated = fc.array(set, { minLength: 1, maxLength: 5 });
    const batches = fc.array(fc.oneof(once, once, once, repeated), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(batches, async (all) => {
        const worlds = [7, 7]
          .map((seed) => simulatedEnv(seed))
          .map((own) => ({ own, store: memory<number>({ env: own }) }));
        for (const writes of all) {
          const results = worlds.map(({ own, store }, world) => {
            const nothing = { type: 'delete' as const, key: 'never there' };
            try {
              const { rev, results: done } = store.blocking.batch(
                world ? [nothing, ...writes] : writes,
              );
              return { rev, done: done.slice(world).map(told) };
            } catch (error) {
              if (!isStrataError(error)) throw error;
              return { code: error.code, key: error.key };
            } finally {
              own.advanceSync(400);
            }
          });
          expect(results[0]).toEqual(results[1]);
        }
        const states = worlds.map(({ store }) => [...store.blocking.list()].map(withoutVersion));
        expect(states[0]).toEqual(states[1]);
        const feeds = await Promise.all(
          worlds.map(async ({ own, store }) => {
            const { feed } = primitivesOf(store);
            const pages = feed?.read(undefined, Call.background(own, 'watch')) ?? [];
            const changes = (await Array.fromAsync(pages)).flatMap((page) => page.changes);
            return changes.map(withoutVersion);
          }),
        );
        expect(feeds[0]).toEqual(feeds[1]);
      }),
      { numRuns: 300 },
    );
  });

  it('changes nothing when the last of its conditions is lost', () => {
    const store = memory<number>();
    store.blocking.set('z', 1);
    const before = store.blocking.cursor();
    expect(() =>
      store.blocking.batch([
        { type: 'set', key: 'a', value: 2 },
        { type: 'set', key: 'z', value: 2, if: 'absent' },
      ]),
    ).toThrow(expect.objectContaining({ code: 'conflict', key: 'z' }));
    expect([...store.blocking.keys()]).toEqual(['z']);
    expect(store.blocking.cursor()).toBe(before);
  });
});

/** Versions differ: a batch that fails uses some up, or none. */
function withoutVersion<T extends object>(one: T): Omit<T, 'version'> {
  const { version: _, ...rest } = one as T & { readonly version?: string };
  return rest;
}

function told<T extends { readonly entry?: object }>(result: T): object {
  return { ...result, ...(result.entry && { entry: withoutVersion(result.entry) }) };
}
