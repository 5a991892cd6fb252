/** Writes that are acknowledged before the back has them, one promise at a time, in simulated time. */
import { describe, expect, it } from 'vitest';
import { begin, keysOf, kindsOf, LEASE_MS } from '../../../../test/support/behind-world.ts';
import { given } from '../../../../test/support/journal-world.ts';
import { codeOf } from '../../../../test/support/tiered-world.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { Call } from '../../../store/call.ts';
import { primitivesOf, type Store } from '../../../store/index.ts';
import { simulatedEnv } from '../../../testing/index.ts';
import { tiered } from '../index.ts';
import type { TieredOptions } from '../options.ts';

describe('A4: pending writes', () => {
  it('end in the back as the last of ten writes at once says', async () => {
    const { store, give, back } = await begin();
    const writing = Array.from({ length: 10 }, (_, n) => store.set('k', n));
    const heads = await give(Promise.all(writing));
    expect(heads.map(({ rev }) => rev)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    await give(store.flush());
    expect(await back.get('k')).toBe(9);
  });

  it('are seen by every read before the back has them', async () => {
    const { store, give, back, stall } = await begin();
    await back.set('old', 1);
    await back.set('gone', 1);
    stall();
    await give(store.set('new', 2));
    expect(await give(store.delete('gone'))).toBe(true);
    expect(await give(keysOf(store))).toEqual(['new', 'old']);
    expect(await give(store.get('gone'))).toBeUndefined();
    expect([...(await give(store.getMany(['new', 'gone', 'old'])))]).toEqual([
      ['new', 2],
      ['old', 1],
    ]);
    expect(await give(store.getOrSet('new', () => 3))).toBe(2);
    expect(store.pending()).toMatchObject({ keys: 2, deadLetters: 0 });
    expect(await keysOf(back)).toEqual(['gone', 'old']);
  });

  it('do not vanish when the back fails, and deletes do not come back', async () => {
    const { store, give, back, plans, env, events } = await begin();
    await give(store.set('k', 1));
    await give(store.flush());
    plans.back.failNext('commit', 'unavailable', { times: 5 });
    plans.back.failNext('commit', 'unknown-outcome', { applied: true });
    await give(store.delete('k'));
    await give(store.set('l', 2));
    expect(await give(store.get('k'))).toBeUndefined();
    await env.advance(2_000);
    expect(await keysOf(back)).toEqual(['l']);
    expect(await give(keysOf(store))).toEqual(['l']);
    expect(kindsOf(events)).toContain('flush-failed');
    expect(store.pending()).toEqual({ keys: 0, bytes: 0, deadLetters: 0 });
  });

  it('are flushed after a restart, and deletes of a dead process stay deletes', async () => {
    const { world, store, give, stall, kill, back, env } = await begin();
    await give(
      store.setMany([
        ['a', 1],
        ['b', 1],
      ]),
    );
    await give(store.flush());
    stall();
    await give(store.delete('a'));
    await give(store.set('b', 2));
    kill();
    const next = world.start();
    await env.advance(LEASE_MS * 2);
    expect(await give(next.store.get('b'))).toBe(2);
    expect(await give(next.store.get('a'))).toBeUndefined();
    expect(next.events[0]).toMatchObject({ type: 'recovered', keys: 2 });
    await give(next.store.flush());
    expect(await keysOf(back)).toEqual(['b']);
  });
});

describe('versions', () => {
  it('are the same before and after the flush, and good for conditions', async () => {
    const { store, give } = await begin();
    const head = await give(store.set('k', 1, { meta: { m: 1 } }));
    const before = await give(store.getEntry('k'));
    await give(store.flush());
    expect(await give(store.getEntry('k'))).toEqual(before);
    expect(await give(store.getEntry('k', { fresh: true }))).toEqual(before);
    expect(await give(Array.fromAsync(store.list()))).toEqual([before]);
    await give(store.set('k', 2, { if: { version: head.version } }));
    expect(await codeOf(give(store.set('k', 3, { if: { version: head.version } })))).toBe(
      'conflict',
    );
  });

  it('hold for writes with an origin of their own, which they keep', async () => {
    const { store, give, back, env } = await begin();
    const origin = { store: 'source', epoch: 'e', rev: 7, version: 'v7' };
    const call = Call.background(env, 'test');
    const write = { type: 'set', key: 'k', value: 1, origin } as const;
    await give(Promise.resolve(primitivesOf(store as Store<unknown>).commit([write], call)));
    const before = await give(store.getEntry('k'));
    expect(before).toMatchObject({ origin, rev: 1 });
    await give(store.flush());
    expect(await give(store.getEntry('k', { fresh: true }))).toEqual(before);
    expect((await back.getEntry('k'))?.origin).toEqual(origin);
    // An update of somebody else keeps the metadata, and with it nothing of ours.
    await back.update('k', () => 2);
    const after = await give(store.getEntry('k', { fresh: true }));
    expect(after).toMatchObject({ value: 2 });
    expect(after?.version).not.toBe(before?.version);
    expect(after?.rev).toBeUndefined();
  });

  it('show no revision for what others wrote into the back', async () => {
    const { store, give, back } = await begin();
    const { version } = await back.set('k', 1);
    expect(await give(store.getEntry('k'))).toMatchObject({ version, value: 1 });
    expect((await give(store.getEntry('k')))?.rev).toBeUndefined();
    await give(store.set('k', 2, { if: { version } }));
    await give(store.flush());
    expect(await back.get('k')).toBe(2);
  });
});

describe('bounds', () => {
  it('make writers wait, in order, until there is room', async () => {
    const { store, give, stall, plans, env, back } = await begin({ maxPending: { keys: 2 } });
    stall();
    await give(
      store.setMany([
        ['a', 1],
        ['b', 1],
      ]),
    );
    const done: string[] = [];
    const writing = ['c', 'd', 'e'].map((key) =>
      store.set(key, 1, { timeoutMs: 60_000 }).then(() => done.push(key)),
    );
    const brief = codeOf(store.set('f', 1, { timeoutMs: 50 }));
    await env.advance(100);
    expect(done).toEqual([]);
    expect(await brief).toBe('timeout');
    plans.back.heal();
    await give(Promise.all(writing));
    expect(done).toEqual(['c', 'd', 'e']);
    await give(store.flush());
    expect(await keysOf(back)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('refuse where that is wanted', async () => {
    const { store, give, stall } = await begin({ maxPending: { keys: 1 }, whenFull: 'reject' });
    stall();
    await give(store.set('a', 1));
    await give(store.set('a', 2));
    const refused = await give(store.set('b', 1).catch((error) => error));
    expect(refused).toMatchObject({ code: 'overloaded', retryable: true });
  });

  it('are not exceeded by those who waited together', async () => {
    const { store, give, stall, plans, env } = await begin({ maxPending: { keys: 2 } });
    stall();
    await give(store.set('a', 1));
    const most: number[] = [];
    const writing = Array.from({ length: 20 }, (_, n) =>
      store.set(`k${n}`, n, { timeoutMs: 60_000 }).then(() => most.push(store.pending().keys)),
    );
    await env.advance(50);
    plans.back.heal();
    await give(Promise.all(writing));
    expect(Math.max(...most)).toBe(2);
  });

  it('do not make it ask a journal without a pause that forgets nothing', async () => {
    const { store, give, plans, env } = await begin({ maxPending: { bytes: 300 } });
    plans.journal.failNext('commit', 'unavailable', { after: 1, times: Number.POSITIVE_INFINITY });
    await give(store.set('a', 'x'.repeat(500)));
    const waiting = codeOf(store.set('b', 1, { timeoutMs: 400 }));
    await env.advance(1_000);
    expect(await waiting).toBe('timeout');
    expect(plans.journal.calls('commit')).toBeLessThan(60);
  });

  it('hold in bytes, and a key that is written over and over takes no more than its newest', async () => {
    const { store, give, stall } = await begin({ maxPending: { bytes: 4_000 } });
    stall();
    for (let n = 0; n < 300; n++) await give(store.set('hot', `value ${n}`));
    expect(store.pending().keys).toBe(1);
    expect(store.pending().bytes).toBeLessThan(2_000);
    const large = store.set('large', 'x'.repeat(5_000), { timeoutMs: 30 });
    expect(await codeOf(give(large))).toBe('no error');
    expect(await codeOf(give(store.set('more', 1, { timeoutMs: 30 })))).toBe('timeout');
  });
});

describe('a back that loses its history', () => {
  it('is told, and gets everything that comes after', async () => {
    const { store, give, back, events } = await begin();
    await give(store.set('a', 1));
    await give(store.flush());
    const fences: string[] = [];
    const inner = primitivesOf(back);
    const call = Call.background(inner.env, 'test');
    const range = { reverse: false, limit: Number.POSITIVE_INFINITY };
    for await (const page of inner.scanKeys(range, call)) fences.push(...page);
    await inner.commit(
      fences.map((key) => ({ type: 'delete', key })),
      call,
    );
    await give(store.set('b', 2));
    await give(store.flush());
    expect(kindsOf(events)).toContain('back-rewound');
    expect(await keysOf(back)).toEqual(['b']);
  });
});

describe('closing', () => {
  it('brings what is pending to the back, within its time', async () => {
    const { store, give, back, stall, plans, env } = await begin();
    await give(store.set('a', 1));
    stall();
    await give(store.set('b', 1));
    const closing = store.close({ drainMs: 1_000 });
    await env.advance(500);
    plans.back.heal();
    expect(await give(closing)).toMatchObject({ keys: 0 });
    expect(await keysOf(back)).toEqual(['a', 'b']);
    expect(env.pendingTimers).toBe(0);
  });

  it('ends the waiting for a flush', async () => {
    const { store, give, stall } = await begin();
    stall();
    await give(store.set('a', 1));
    const flushing = codeOf(store.flush());
    await give(store.close({ drainMs: 0 }));
    expect(await flushing).toBe('closed');
    expect(await codeOf(give(store.flush()))).toBe('closed');
  });

  it('tells what it leaves in the journal for the next opening', async () => {
    const { store, give, back, stall, env, world } = await begin();
    stall();
    await give(
      store.setMany([
        ['a', 1],
        ['b', 1],
      ]),
    );
    const left = await give(store.close({ drainMs: 0 }));
    expect(left).toMatchObject({ keys: 2 });
    expect(left.bytes).toBeGreaterThan(0);
    expect(env.pendingTimers).toBe(0);
    const next = world.start();
    await given(env, next.store.flush());
    expect(await keysOf(back)).toEqual(['a', 'b']);
  });
});

describe('a journal', () => {
  it('that does not take a write fails no condition of another', async () => {
    const { store, plans, give } = await begin({ journal: 'volatile' });
    void plans;
    const taken = await give(
      Promise.allSettled([
        store.set('a', 1),
        store.set('k', 1),
        store.set('k', 2, { if: 'absent' }),
      ]),
    );
    expect(taken.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    const other = await begin();
    other.plans.journal.hangNext('commit');
    const first = codeOf(other.give(other.store.set('a', 1)));
    const both = [
      codeOf(other.give(other.store.set('k', 1))),
      codeOf(other.give(other.store.set('k', 2, { if: 'absent' }))),
    ];
    await other.env.advance(0);
    other.plans.journal.failNext('commit', 'denied');
    other.plans.journal.release();
    expect(await first).toBe('no error');
    expect(await Promise.all(both)).toEqual(['denied', 'denied']);
  });

  it('that another process takes over ends writing, and not reading', async () => {
    const { world, store, give, env, events, parts, plans } = await begin();
    await give(store.set('k', 1));
    await give(store.flush());
    plans.back.failNext('commit', 'unavailable', { times: 1_000 });
    await give(store.set('stalled', 'mine'));
    // The process stands still for longer than its lease.
    parts.journal.dead = true;
    const other = world.start();
    await env.advance(LEASE_MS * 4);
    await given(env, other.store.set('k', 2));
    await given(env, other.store.set('stalled', 'theirs'));
    await given(env, other.store.flush());
    parts.journal.dead = false;
    await env.advance(LEASE_MS * 4);
    expect(await codeOf(give(store.set('k', 3)))).toBe('unavailable');
    expect(await codeOf(give(store.set('k', 4)))).toBe('unavailable');
    expect(await codeOf(give(store.update('k', () => 5)))).toBe('unavailable');
    expect(await given(env, other.store.get('k'))).toBe(2);
    expect(store.pending()).toMatchObject({ keys: 0, bytes: 0 });
    expect(await give(store.get('stalled'))).toBe('theirs');
    expect(await give(store.get('k', { fresh: true }))).toBeDefined();
    await given(env, other.store.flush());
    expect(await world.back.get('k')).toBe(2);
    expect(kindsOf(events)).toContain('journal-lost');
  });

  it('is asked for where the front cannot keep one', () => {
    const env = simulatedEnv();
    const [front, back] = [memory({ env }), memory({ env })];
    const refusal = (options: object): string => {
      try {
        tiered({ front, back, write: 'behind', ...options } as TieredOptions<unknown>);
        return 'none';
      } catch (error) {
        const { code, message } = error as { code: string; message: string };
        return `${code} ${message}`;
      }
    };
    expect(refusal({})).toMatch(/^invalid-argument .*lmdb or sqlite.*'volatile'/);
    expect(refusal({ journal: 'front' })).toMatch(/^invalid-argument .*durability/);
    expect(refusal({ journal: memory() })).toMatch(/^invalid-argument .*durability/);
    expect(refusal({ journal: back })).toMatch(/^invalid-argument .*another store than the back/);
    expect(refusal({ journal: 'volatile' })).toBe('none');
  });
});
