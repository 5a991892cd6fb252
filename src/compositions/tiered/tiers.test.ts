/** Fronts that are away, that outlive the process, that are read alone, and tiers upon tiers. */
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../test/support/late-store.ts';
import { codeOf, tieredWorld as world } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { describeStore } from '../../store/index.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { settled } from '../../testing/settled.ts';
import { tiered } from './index.ts';

describe('a front that is away', () => {
  it('is left alone for a while after somebody waited for it in vain', async () => {
    const { env, store, inBack, frontPlan } = world({ frontTimeoutMs: 100 });
    await inBack.setMany([
      ['a', 1],
      ['b', 2],
    ]);
    frontPlan.hangNext('read', { times: 2 });
    const first = store.get('a');
    await env.advance(100);
    expect(await first).toBe(1);
    expect(await store.get('b')).toBe(2);
    await store.set('c', 3);
    expect(await store.get('c')).toBe(3);
    expect(frontPlan.calls('read')).toBe(1);
    await env.advance(100);
    frontPlan.heal();
    expect(await store.get('a')).toBe(1);
    expect(frontPlan.calls('read')).toBe(2);
  });

  it('is emptied when too many of its copies are wrong to remember which', async () => {
    const { env, store, inFront, frontPlan, backPlan } = world({ maxFenced: 10 });
    const pairs = Array.from({ length: 30 }, (_, n) => [`k${n}`, 'old'] as const);
    await store.setMany(pairs);
    frontPlan.failNext('commit', 'unavailable', { times: 1_000 });
    for (const [key] of pairs.slice(0, 20)) await store.set(key, 'new');
    const expected = pairs.map(([key], n) => [key, n < 20 ? 'new' : 'old']);
    const found = async (): Promise<unknown[]> => [
      ...(await store.getMany(pairs.map(([key]) => key))),
    ];
    expect(await found()).toEqual(expected);
    expect(store.blocking.get('k0')).toBe('new');
    await env.advance(5_000);
    expect(await found()).toEqual(expected);
    frontPlan.heal();
    await env.advance(60_000);
    expect(await Array.fromAsync(inFront.keys())).toEqual([]);
    expect(await found()).toEqual(expected);
    const calls = backPlan.calls('read');
    expect(await found()).toEqual(expected);
    expect(backPlan.calls('read')).toBe(calls);
    await store.close();
    expect(env.pendingTimers).toBe(0);
  });
});

describe('a front that outlives the process', () => {
  it('holds no copy that a crash in the middle of a write would leave older than the back', async () => {
    const env = simulatedEnv();
    const [inFront, inBack] = [memory({ env }), memory({ env })];
    const frontPlan = new FaultPlan();
    const front = lateStore(faulty(inFront, frontPlan));
    const store = tiered({ front, back: inBack });
    await store.set('k', 'old');
    expect(await inFront.get('k')).toBe('old');
    // The first write of the front takes the copy out, the second brings the new one: here the crash.
    frontPlan.hangNext('commit', { after: 1 });
    const writing = store.set('k', 'new');
    await settled();
    expect(await inBack.get('k')).toBe('new');
    const reopened = tiered({ front: lateStore(inFront), back: inBack });
    expect(await reopened.get('k')).toBe('new');
    frontPlan.release();
    await writing;
  });
});

describe('a front that is left to others', () => {
  it('holds nothing that only the closed store knew to be wrong', async () => {
    const { store, inFront, inBack, frontPlan } = world({ closeParts: false });
    await store.setMany([
      ['wrong', 'old'],
      ['right', 'old'],
    ]);
    frontPlan.failNext('commit', 'unavailable', { times: 2 });
    await store.set('wrong', 'new');
    expect(await inFront.get('wrong')).toBe('old');
    await store.close();
    expect(await inFront.get('wrong')).toBeUndefined();
    const next = tiered({ front: inFront, back: inBack });
    expect([await next.get('wrong'), await next.get('right')]).toEqual(['new', 'old']);
  });

  it('takes no update that goes on after the close', async () => {
    const { store, inBack } = world({ closeParts: false });
    const updating = codeOf(store.update('k', async () => settled().then(() => 1)));
    await store.close();
    expect(await updating).toBe('closed');
    expect(await inBack.get('k')).toBeUndefined();
  });
});

describe('reads from the front only', () => {
  it('miss what the front does not have, and see every write', async () => {
    const { store, inBack, backPlan } = world({ read: 'front-only' });
    await inBack.set('cold', 1);
    expect(await store.get('cold')).toBeUndefined();
    expect((await store.getMany(['cold'])).size).toBe(0);
    await store.set('k', 1);
    expect(await store.get('k')).toBe(1);
    expect(await Array.fromAsync(store.keys())).toEqual(['k']);
    expect(backPlan.calls('read')).toBe(0);
    // An update starts from the truth all the same.
    await store.update('cold', (n) => (n as number) + 1);
    expect(await inBack.get('cold')).toBe(2);
    expect(await store.get('cold')).toBe(2);
  });

  it('look a key up in the back when its copy is in doubt', async () => {
    const { store, frontPlan, backPlan } = world({ read: 'front-only' });
    await store.set('k', 1);
    frontPlan.failNext('commit', 'unavailable');
    await store.set('k', 2);
    const listed = await Array.fromAsync(store.list());
    expect(listed).toMatchObject([{ key: 'k', value: 2 }]);
    expect(await store.get('k')).toBe(2);
    expect(backPlan.calls('read')).toBe(1);
  });

  it('keep a key in the front when writes of it overlap', async () => {
    const { store, inBack, backPlan } = world({ read: 'front-only' });
    backPlan.hangNext('commit', { applied: true });
    const first = store.set('k', 1);
    await settled();
    await store.set('k', 2);
    backPlan.release();
    await first;
    expect(await inBack.get('k')).toBe(2);
    expect(await Array.fromAsync(store.list())).toMatchObject([{ key: 'k', value: 2 }]);
    expect(await store.get('k')).toBe(2);
  });
});

describe('three tiers', () => {
  it('read through and fill every front, and write to all', async () => {
    const env = simulatedEnv();
    const [near, middle, far] = [memory({ env }), memory({ env }), memory({ env })];
    const store = tiered({ front: near, back: tiered({ front: middle, back: far }) });
    const truth = async (key: string) => far.getEntry(key);
    await far.set('k', 1, { meta: { from: 'far' } });
    expect(await store.getEntry('k')).toEqual(await truth('k'));
    expect([await near.get('k'), await middle.get('k')]).toEqual([1, 1]);
    expect(await store.getEntry('k')).toEqual(await truth('k'));
    const head = await store.set('k', 2);
    expect(head.version).toBe((await truth('k'))?.version);
    for (const part of [near, middle, far]) expect(await part.get('k')).toBe(2);
    await store.set('k', 3, { if: { version: (await store.getEntry('k'))?.version as string } });
    await store.delete('k');
    for (const part of [near, middle, far]) expect(await part.get('k')).toBeUndefined();
  });

  it('keep the version of the truth through a front that is tiered itself', async () => {
    const env = simulatedEnv();
    const far = memory({ env });
    const front = tiered({ front: memory({ env }), back: memory({ env }) });
    const store = tiered({ front, back: far });
    await far.set('k', 1);
    await store.get('k');
    expect(await store.getEntry('k')).toEqual(await far.getEntry('k'));
    await store.set('k', 2);
    expect(await store.getEntry('k')).toEqual(await far.getEntry('k'));
    expect(await front.get('k')).toBe(2);
  });

  it('are drawn with their parts', () => {
    const store = tiered({ front: memory(), back: tiered({ front: memory(), back: memory() }) });
    expect(describeStore(store)).toMatchObject({
      type: 'tiered',
      details: { write: 'through', read: 'front-first' },
      parts: { front: { type: 'memory' }, back: { type: 'tiered' } },
    });
  });
});

describe('capabilities', () => {
  it('are those of the store that counts', () => {
    const back = lateStore(memory());
    expect(tiered({ front: memory(), back }).capabilities).toEqual(back.capabilities);
    expect(tiered({ front: memory(), back, write: 'front-only' }).capabilities).toEqual({
      ...memory().capabilities,
      blocking: false,
    });
    expect(tiered({ front: memory(), back: memory() }).capabilities.blocking).toBe(true);
  });
});
