import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { Call } from '../store/call.ts';
import { defineStore } from '../store/define-store.ts';
import { primitivesOf } from '../store/internals.ts';
import { prefixBounds } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import type { BackoffOptions } from './backoff.ts';
import { type PublishLimits, publish, subscribe } from './index.ts';

const token = 't';
const authorize = () => ({ read: true, write: true });
const QUICK: BackoffOptions = { baseMs: 10, capMs: 20 };

/** One store behind two servers, each with faults of its own, and a subscriber that goes to either. */
function setUp(limits: PublishLimits = {}, reconnect: BackoffOptions = QUICK) {
  const world = simulatedEnv(11);
  const store = memory<Uint8Array>({ env: world });
  const plans = [new FaultPlan(), new FaultPlan()] as const;
  const lines = plans.map(
    (plan) => new Line(publish(faulty(store, plan), { authorize, limits })),
  ) as [Line, Line];
  let at = 0;
  const local = memory<Uint8Array>({ env: world });
  const subscription = subscribe({ connect: () => (lines[at] as Line).connect() }, local, {
    token,
    reconnect,
  });
  const switchTo = (server: 0 | 1): void => {
    lines[at]?.cut();
    at = server;
  };
  return { world, store, plans, lines, local, subscription, remote: subscription.remote, switchTo };
}

const increment = (value: Uint8Array | undefined): Uint8Array =>
  bytes(String(Number(words(value) ?? 0) + 1));

async function within<T>(world: SimulatedEnv, promise: Promise<T>, ms = 200): Promise<T> {
  promise.catch(() => undefined);
  await world.advance(ms);
  return await promise;
}

/** Keys of writers' records. */
async function records(store: Store<Uint8Array>): Promise<string[]> {
  const primitives = primitivesOf(store);
  const found: string[] = [];
  const range = { ...prefixBounds('\u0000sync-writes/'), reverse: false, limit: 1e9 };
  for await (const page of primitives.scanKeys(range, Call.background(primitives.env, 'list')))
    found.push(...page);
  return found;
}

describe('a write whose answer is lost', () => {
  it('is applied once, and gives the result of that once', async () => {
    const { world, store, plans, lines, remote, subscription } = setUp();
    await world.advance(1);
    // Applied, and then nothing is said of it.
    plans[0].hangNext('commit', { applied: true });
    const written = remote.set('a', bytes('1'), { meta: { by: 'me' } });
    await world.advance(1);
    const { rev } = (await store.getEntry('a')) ?? {};
    lines[0].cut();
    const entry = await within(world, written);
    const { value: _, ...head } = (await store.getEntry('a')) ?? {};
    expect(entry).toEqual(head);
    expect(entry.rev).toBe(rev);
    plans[0].release();
    await world.advance(100);
    expect((await store.getEntry('a'))?.rev).toBe(rev);
    await subscription.close();
  });

  it('is applied once by another server as well', async () => {
    const { world, store, plans, remote, subscription, switchTo } = setUp();
    await world.advance(1);
    await within(world, remote.set('n', bytes('5')));
    plans[0].hangNext('commit', { applied: true });
    const written = remote.update('n', increment);
    await world.advance(1);
    switchTo(1);
    expect(words((await within(world, written))?.value)).toBe('6');
    expect(words(await store.get('n'))).toBe('6');
    await subscription.close();
  });

  it('is applied by the second server, and never after that by the first, which still has it', async () => {
    const { world, store, plans, remote, subscription, switchTo } = setUp();
    await world.advance(1);
    plans[0].hangNext('commit');
    const written = remote.set('a', bytes('1'));
    await world.advance(1);
    expect(plans[0].hanging).toBe(1);
    switchTo(1);
    await within(world, written);
    await within(world, remote.delete('a'));
    plans[0].release();
    await world.advance(100);
    expect(await store.has('a')).toBe(false);
    await subscription.close();
  });

  it('says of every key whether it was there, though others have written since', async () => {
    const { world, store, plans, remote, subscription, switchTo } = setUp();
    await world.advance(1);
    await store.setMany([
      ['b', bytes('old')],
      ['c', bytes('old')],
    ]);
    plans[0].hangNext('commit', { applied: true });
    const written = remote.batch([
      { type: 'set', key: 'a', value: bytes('1') },
      { type: 'set', key: 'b', value: bytes('2') },
      { type: 'delete', key: 'c' },
      { type: 'delete', key: 'd' },
      { type: 'set', key: 'a', value: bytes('3') },
    ]);
    await world.advance(1);
    await store.setMany([
      ['b', bytes('later')],
      ['c', bytes('later')],
    ]);
    switchTo(1);
    const { rev, results } = await within(world, written);
    expect(results.map(({ existed }) => existed)).toEqual([false, true, true, false, true]);
    const a = await store.getEntry('a');
    expect(results[4]?.entry).toMatchObject({ key: 'a', version: a?.version, rev });
    // What was replaced has a version that stands nowhere.
    expect(results[1]?.entry?.version).not.toBe((await store.getEntry('b'))?.version);
    expect(results[1]?.entry?.rev).toBe(rev);
    expect(await contents(store)).toEqual({ a: '3', b: 'later', c: 'later' });
    await subscription.close();
  });

  it('says so too when somebody writes just before it is applied', async () => {
    const { world, store, plans, remote, subscription, switchTo } = setUp();
    await world.advance(1);
    plans[0].delay('commit', 10).hangNext('commit', { applied: true });
    const written = remote.batch([
      { type: 'delete', key: 'a' },
      { type: 'set', key: 'b', value: bytes('1') },
    ]);
    await world.advance(5);
    await store.set('a', bytes('theirs'));
    await world.advance(6);
    switchTo(1);
    const { results } = await within(world, written);
    expect(await store.has('a')).toBe(false);
    expect(results.map(({ existed }) => existed)).toEqual([true, false]);
    await subscription.close();
  });

  it('is no commit when it changes nothing', async () => {
    const { world, store, remote, subscription } = setUp();
    await world.advance(1);
    const before = await store.cursor();
    expect(await within(world, remote.delete('nothing'))).toBe(false);
    expect(await store.cursor()).toBe(before);
    await subscription.close();
  });

  it('keeps what it was told when it failed, whatever happens then', async () => {
    const { world, store, plans, remote, subscription, switchTo } = setUp();
    await world.advance(1);
    plans[0].hangNext('commit');
    const written = remote.set('a', bytes('mine'), { if: 'absent' });
    written.catch(() => undefined);
    await world.advance(1);
    await store.set('a', bytes('theirs'));
    switchTo(1);
    await expect(within(world, written)).rejects.toMatchObject({ code: 'conflict', key: 'a' });
    // Now the first server could do it, and must not.
    await store.delete('a');
    plans[0].release();
    await world.advance(100);
    expect(await store.has('a')).toBe(false);
    await subscription.close();
  });

  it('counts right through 60 cuts, in order, many at once', async () => {
    const { world, store, plans, local, remote, subscription, switchTo } = setUp();
    await world.advance(1);
    const all: Promise<unknown>[] = [];
    for (let i = 0; i < 60; i++) {
      const server = (i % 2) as 0 | 1;
      const applied = i % 3 === 0;
      plans[server].hangNext('commit', { applied, after: i % 4 });
      for (let n = 0; n < 5; n++)
        all.push(
          remote.update('n', increment, { timeoutMs: 600_000 }),
          remote.set('last', bytes(String(all.length)), { timeoutMs: 600_000 }),
        );
      await world.advance(7);
      switchTo((1 - server) as 0 | 1);
      await world.advance(30);
      plans[server].release();
    }
    for (const plan of plans) plan.heal();
    await within(world, Promise.all(all), 120_000);
    expect(words(await store.get('n'))).toBe('300');
    expect(words(await store.get('last'))).toBe('598');
    expect(await contents(local)).toEqual(await contents(store));
    await subscription.close();
  });

  it('is tried again where the store itself does not know', async () => {
    const { world, store, plans, remote, subscription } = setUp();
    await world.advance(1);
    plans[0].failNext('commit', 'unknown-outcome', { applied: true });
    await within(world, remote.update('n', increment), 1_000);
    plans[0].failNext('commit', 'unknown-outcome');
    await within(world, remote.update('n', increment), 1_000);
    expect(words(await store.get('n'))).toBe('2');
    await subscription.close();
  });

  it('is tried again beside others, over the same connection', async () => {
    const { world, store, plans, lines, remote, subscription } = setUp();
    await world.advance(1);
    plans[0].failNext('commit', 'unknown-outcome', { times: 3, applied: true });
    const writes = Array.from({ length: 10 }, (_, i) => remote.set(`k${i}`, bytes('')));
    await within(world, Promise.all(writes), 1_000);
    expect([...(await store.hasMany(writes.map((_, i) => `k${i}`)))]).toHaveLength(10);
    const revs = (await Promise.all(writes)).map(({ rev }) => rev);
    expect(new Set(revs).size).toBe(10);
    expect(Math.max(...revs.map(Number))).toBe(10);
    expect(lines[0].connections).toBe(1);
    await subscription.close();
  });
});

describe('a source that cannot keep results', () => {
  it('leaves a write whose answer is lost unknown, and does it once at most', async () => {
    const world = simulatedEnv(12);
    const inner = primitivesOf(memory<Uint8Array>({ env: world }));
    const store = defineStore<Uint8Array>({
      ...inner,
      capabilities: { ...inner.capabilities, atomic: 'key' },
    });
    const plan = new FaultPlan();
    const line = new Line(publish(faulty(store, plan), { authorize }));
    const subscription = subscribe(line, memory<Uint8Array>({ env: world }), {
      token,
      reconnect: QUICK,
    });
    const { remote } = subscription;
    await world.advance(1);
    await within(world, remote.update('n', increment));
    plan.hangNext('commit', { applied: true });
    const written = remote.update('n', increment);
    written.catch(() => undefined);
    await world.advance(1);
    line.cut();
    await expect(within(world, written)).rejects.toMatchObject({ code: 'unknown-outcome' });
    plan.release();
    await world.advance(100);
    expect(words(await store.get('n'))).toBe('2');
    expect(await records(store)).toEqual([]);
    await subscription.close();
  });
});

describe('records of writers', () => {
  it('are as many as writes at once, and not seen', async () => {
    const { world, store, local, remote, subscription } = setUp();
    await world.advance(1);
    for (let i = 0; i < 10; i++) await within(world, remote.set(`k${i}`, bytes('')));
    expect(await records(store)).toHaveLength(1);
    await within(world, Promise.all([1, 2, 3].map((n) => remote.set(`m${n}`, bytes('')))));
    expect(await records(store)).toHaveLength(3);
    expect(await contents(local)).toEqual(await contents(store));
    expect(await records(local)).toEqual([]);
    await subscription.close();
  });

  it('go after their time; a write asked for again that may have had one is unknown, not done twice', async () => {
    const { world, store, plans, lines, remote, subscription } = setUp(
      { keepResultsMs: 600_000 },
      { baseMs: 10_000, capMs: 10_000 },
    );
    await world.advance(1);
    plans[0].hangNext('commit', { applied: true });
    const written = remote.set('a', bytes('1'), { timeoutMs: 3_600_000 });
    written.catch(() => undefined);
    await world.advance(1);
    for (const line of lines) line.down = true;
    lines[0].cut();
    await store.delete('a');
    await world.advance(601_000);
    // Somebody else writes, and so the old ones are looked for.
    const other = new Line(publish(store, { authorize, limits: { keepResultsMs: 600_000 } }));
    const busy = subscribe(other, memory<Uint8Array>({ env: world }), { token });
    await world.advance(1);
    await within(world, busy.remote.set('b', bytes('1')));
    await world.advance(100);
    expect(await records(store)).toHaveLength(1);
    for (const line of lines) line.down = false;
    await expect(within(world, written, 11_000)).rejects.toMatchObject({ code: 'unknown-outcome' });
    expect(await store.has('a')).toBe(false);
    // A new write is no such case.
    await within(world, remote.set('c', bytes('1')));
    await Promise.all([subscription.close(), busy.close()]);
  });

  it('a write that never arrived is done when it is asked for again, though others have gone', async () => {
    const { world, store, lines, remote, subscription } = setUp({ keepResultsMs: 600_000 });
    await world.advance(1);
    await within(world, remote.set('a', bytes('1')));
    await world.advance(601_000);
    const again = subscription.status().connections;
    lines[0].cut();
    await world.advance(100);
    expect(subscription.status().connections).toBe(again + 1);
    const written = remote.set('b', bytes('1'));
    // Lost on its way.
    lines[0].cut();
    await within(world, written);
    expect(words(await store.get('b'))).toBe('1');
    await subscription.close();
  });

  it('cannot be told to go while a commit may still be on its way', () => {
    const store = memory<Uint8Array>();
    expect(() => publish(store, { limits: { keepResultsMs: 599_999 } })).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
  });

  it('are bounded in number: who comes when there are too many waits until one is old', async () => {
    const { world, store, lines, remote, subscription } = setUp({ writers: 4 });
    await world.advance(1);
    for (let i = 0; i < 4; i++) {
      const one = subscribe(lines[0], memory<Uint8Array>({ env: world }), { token });
      await world.advance(1);
      await within(world, one.remote.set(`k${i}`, bytes('')));
      await one.close();
    }
    await expect(within(world, remote.set('a', bytes('')))).rejects.toMatchObject({
      code: 'overloaded',
      retryable: true,
    });
    await world.advance(600_000);
    await within(world, remote.set('a', bytes('')));
    expect((await records(store)).length).toBeLessThanOrEqual(4);
    await subscription.close();
  });
});

describe('a write that is too large', () => {
  it('is refused before it is sent, and the connection lives', async () => {
    const { world, store, lines, remote, subscription } = setUp({ writeBytes: 1_000_000 });
    await world.advance(1);
    await within(world, remote.set('a', new Uint8Array(999_000)));
    await expect(within(world, remote.set('b', new Uint8Array(1_000_001)))).rejects.toMatchObject({
      code: 'invalid-argument',
      key: 'b',
    });
    await within(world, remote.set('c', bytes('1')));
    expect(lines[0].connections).toBe(1);
    expect(await store.hasMany(['a', 'b', 'c'])).toEqual(new Set(['a', 'c']));
    await subscription.close();
  });
});
