import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { primitivesOf } from '../../store/internals.ts';
import { systemEnv } from '../../store/system-env.ts';
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
