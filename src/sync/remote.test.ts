import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { type KeyRights, publish, subscribe } from './index.ts';

interface Setting {
  readonly world: SimulatedEnv;
  readonly store: ReturnType<typeof memory<Uint8Array>>;
  readonly plan: FaultPlan;
  readonly local: ReturnType<typeof memory<Uint8Array>>;
  readonly line: Line;
}

function setUp(write: KeyRights = true): Setting {
  const world = simulatedEnv(5);
  const store = memory<Uint8Array>({ env: world });
  const plan = new FaultPlan();
  const line = new Line(publish(faulty(store, plan), { authorize: () => ({ read: true, write }) }));
  return { world, store, plan, line, local: memory<Uint8Array>({ env: world }) };
}

/** Runs the promise to its end in simulated time; gives its value or its error. */
async function within<T>(world: SimulatedEnv, promise: Promise<T>, ms = 50): Promise<T> {
  promise.catch(() => undefined);
  await world.advance(ms);
  return await promise;
}

const token = 't';

describe('writes through a subscriber', () => {
  it('resolve with the entry of the source once the local copy has it', async () => {
    const { world, store, line, local } = setUp();
    const subscription = subscribe(line, local, { token });
    const { remote } = subscription;
    await world.advance(1);
    const entry = await within(world, remote.set('a', bytes('1'), { meta: { by: 'me' } }));
    expect(words(await local.get('a'))).toBe('1');
    const { value: _, ...head } = (await store.getEntry('a')) ?? {};
    expect(entry).toEqual(head);
    expect(await within(world, remote.delete('a'))).toBe(true);
    expect(await local.has('a')).toBe(false);
    expect(await within(world, remote.delete('a'))).toBe(false);
    const done = await within(
      world,
      remote.batch([
        { type: 'set', key: 'b', value: bytes('2') },
        { type: 'set', key: 'c', value: bytes('3'), immutable: true },
        { type: 'delete', key: 'nothing' },
      ]),
    );
    expect(done.rev).toBe((await store.getEntry('b'))?.rev);
    expect(done.results.map(({ existed }) => existed)).toEqual([false, false, false]);
    expect(await contents(local)).toEqual({ b: '2', c: '3' });
    expect(await within(world, remote.clear())).toBe(2);
    expect(await contents(store)).toEqual({});
    await subscription.close();
  });

  it('honour conditions, by the version of the source or of the copy', async () => {
    const { world, store, line, local } = setUp();
    const subscription = subscribe(line, local, { token });
    const { remote } = subscription;
    await world.advance(1);
    const first = await within(world, remote.set('a', bytes('1'), { if: 'absent' }));
    await expect(
      within(world, remote.set('a', bytes('2'), { if: 'absent' })),
    ).rejects.toMatchObject({ code: 'conflict', key: 'a', operation: 'set' });
    await within(world, remote.set('a', bytes('2'), { if: { version: first.version } }));
    await expect(
      within(world, remote.set('a', bytes('3'), { if: { version: first.version } })),
    ).rejects.toMatchObject({ code: 'conflict' });
    const copy = await local.getEntry('a');
    const atSource = await remote.getEntry('a');
    expect(atSource?.version).toBe((await store.getEntry('a'))?.version);
    expect(copy?.version).not.toBe(atSource?.version);
    await within(world, remote.delete('a', { if: { version: copy?.version ?? '' } }));
    expect(await store.has('a')).toBe(false);
    await subscription.close();
  });

  it('update atomically, whoever else does: 2 subscribers count to 40', async () => {
    const { world, store, line, local } = setUp();
    const other = memory<Uint8Array>({ env: world });
    const subscriptions = [local, other].map((each) => subscribe(line, each, { token }));
    await world.advance(1);
    const count = (value: Uint8Array | undefined): Uint8Array =>
      bytes(String(Number(words(value) ?? 0) + 1));
    const counting = subscriptions.map(async ({ remote }) => {
      for (let i = 0; i < 20; i++) await remote.update('n', count, { timeoutMs: 60_000 });
    });
    await within(world, Promise.all(counting), 30_000);
    expect(words(await store.get('n'))).toBe('40');
    expect(words(await local.get('n'))).toBe('40');
    const gone = await within(
      world,
      (subscriptions[0] as never as { remote: typeof store }).remote.update('n', () => undefined),
    );
    expect(gone).toBeUndefined();
    expect(await store.has('n')).toBe(false);
    await Promise.all(subscriptions.map((subscription) => subscription.close()));
  });

  it('are refused key by key, and then not applied at all', async () => {
    for (const write of [['notes/'], (key: string) => key.startsWith('notes/')] as KeyRights[]) {
      const { world, store, line, local } = setUp(write);
      const subscription = subscribe(line, local, { token });
      const { remote } = subscription;
      await world.advance(1);
      await within(world, remote.set('notes/1', bytes('1')));
      await expect(
        within(
          world,
          remote.batch([
            { type: 'set', key: 'notes/2', value: bytes('2') },
            { type: 'set', key: 'other', value: bytes('3') },
          ]),
        ),
      ).rejects.toMatchObject({ code: 'denied', key: 'other' });
      expect(await contents(store)).toEqual({ 'notes/1': '1' });
      await subscription.close();
    }
  });

  it('wait for a connection, and say timeout when none comes: nothing was applied', async () => {
    const { world, store, line, local } = setUp();
    line.down = true;
    const subscription = subscribe(line, local, { token, reconnect: { baseMs: 10, capMs: 50 } });
    const { remote } = subscription;
    await expect(
      within(world, remote.set('a', bytes('1'), { timeoutMs: 1_000 }), 2_000),
    ).rejects.toMatchObject({ code: 'timeout' });
    const patient = remote.set('b', bytes('2'), { timeoutMs: 10_000 });
    await world.advance(500);
    line.down = false;
    await within(world, patient, 500);
    expect(await contents(store)).toEqual({ b: '2' });
    await subscription.close();
    await expect(remote.set('c', bytes('3'))).rejects.toMatchObject({ code: 'closed' });
  });

  it('say unknown-outcome when the answer is lost and no server comes back in time', async () => {
    const { world, store, plan, line, local } = setUp();
    const subscription = subscribe(line, local, { token });
    await world.advance(1);
    plan.hangNext('commit');
    const written = subscription.remote.set('a', bytes('1'), { timeoutMs: 500 });
    written.catch(() => undefined);
    await world.advance(1);
    line.down = true;
    line.cut();
    await expect(within(world, written, 1_000)).rejects.toMatchObject({
      code: 'unknown-outcome',
      operation: 'set',
      key: 'a',
    });
    line.down = false;
    plan.release();
    await world.advance(20_000);
    expect(words(await local.get('a'))).toBe(words(await store.get('a')));
    await subscription.close();
  });

  it('tell what the source says: a full disk is no-space, and the connection lives', async () => {
    const { world, plan, line, local } = setUp();
    const subscription = subscribe(line, local, { token });
    await world.advance(1);
    plan.failNext('commit', 'no-space');
    await expect(within(world, subscription.remote.set('a', bytes('1')))).rejects.toMatchObject({
      code: 'no-space',
    });
    await within(world, subscription.remote.set('a', bytes('2')));
    expect(line.connections).toBe(1);
    await subscription.close();
  });

  it('check keys and options before anything is sent', async () => {
    const { world, line, local } = setUp();
    const subscription = subscribe(line, local, { token });
    const { remote } = subscription;
    await world.advance(1);
    const before = subscription.status().sentBytes;
    const invalid = { code: 'invalid-argument' };
    await expect(remote.set('', bytes('1'))).rejects.toMatchObject(invalid);
    await expect(remote.set('\u0000a', bytes('1'))).rejects.toMatchObject(invalid);
    await expect(remote.set('a', 'text' as never)).rejects.toMatchObject(invalid);
    await expect(remote.set('a', bytes('1'), { tllMs: 1 } as never)).rejects.toMatchObject(invalid);
    const many = Array.from({ length: 20_000 }, (_, i) => [`k${i}`, bytes('')] as const);
    await expect(remote.setMany(many)).rejects.toMatchObject(invalid);
    expect(subscription.status().sentBytes).toBe(before);
    await subscription.close();
  });

  it('go out in order, many at once', async () => {
    const { world, store, line, local } = setUp();
    const subscription = subscribe(line, local, { token });
    await world.advance(1);
    const writes = Array.from({ length: 2_000 }, (_, i) =>
      subscription.remote.set(`k${i % 10}`, bytes(String(i)), { timeoutMs: 60_000 }),
    );
    await within(world, Promise.all(writes), 5_000);
    expect(words(await store.get('k9'))).toBe('1999');
    expect(await contents(local)).toEqual(await contents(store));
    await subscription.close();
  });
});
