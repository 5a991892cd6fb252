/** The records of evicted keys of a store, made anew and verified. */
import { describe, expect, it } from 'vitest';
import { changedObject } from '../../../../test/support/cold-object.ts';
import { faultyCold } from '../../../../test/support/faulty-cold.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { sqlite } from '../../../drivers/sqlite/index.ts';
import type { Seal } from '../../../layers/sealed/index.ts';
import type { Store } from '../../../store/store.ts';
import { FaultPlan, simulatedEnv } from '../../../testing/index.ts';
import { type Archive, archive } from '../index.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const stores: Record<string, () => Store<Uint8Array>> = {
  memory: () => memory<Uint8Array>(),
  sqlite: () => sqlite({ path: ':memory:' }),
};

describe.each(Object.entries(stores))('archive over a store as a whole: %s', (_, make) => {
  const over = (hot: Store<Uint8Array>, cold: Store<Uint8Array>): Archive =>
    archive({ hot, cold, throttleMs: 0 });
  const keys = ['a', 'b', 'foo:♡', 'k'.repeat(512), 'strata-archive:clock', 'hot', 'forgotten'];

  async function frozen(hot: Store<Uint8Array>, one: Archive): Promise<void> {
    for (const key of keys) await hot.set(key, bytes(key), { meta: { of: key } });
    await one.dirty(...keys);
    await one.drain();
  }

  it('brings back a store that was lost, but for what was forgotten', async () => {
    const cold = memory<Uint8Array>();
    const [lost, next] = [make(), make()];
    const before = over(lost, cold);
    await frozen(lost, before);
    await before.evict('a', 'b');
    await before.forget('forgotten');
    await cold.set('strata-archive/x/ff00ff', new Uint8Array(3));
    const after = over(next, cold);
    expect(await after.rebuildIndex()).toMatchObject({ recorded: 6, deleted: 1, foreign: 1 });
    expect(await after.stats()).toMatchObject({ dirty: 0, evicted: 6 });
    expect(await after.rebuildIndex({ restore: true })).toMatchObject({ evicted: 6, restored: 6 });
    expect(await after.stats()).toMatchObject({ dirty: 0, evicted: 0 });
    for (const key of keys.slice(0, 6))
      expect(await next.getEntry(key)).toMatchObject({ value: bytes(key), meta: { of: key } });
    await after.ensure('forgotten');
    expect(await next.has('forgotten')).toBe(false);
    await next.set('a', bytes('newer'));
    await after.dirty('a');
    expect(await after.drain()).toMatchObject({ frozen: 1, failed: [] });
    await Promise.all([lost.close(), next.close()]);
  });

  it('names what differs and what is damaged, and changes nothing', async () => {
    const [hot, cold] = [make(), memory<Uint8Array>()];
    const one = over(hot, cold);
    await frozen(hot, one);
    await one.evict('a', 'b');
    await one.forget('forgotten');
    const well = { equal: 4, evicted: 2, gone: 1, differing: 0, missing: 0, differences: [] };
    expect(await one.verify()).toMatchObject(well);
    await hot.set('hot', bytes('changed'));
    await hot.set('never frozen', bytes('v'));
    await cold.update('strata-archive/k/a', (value) => value?.with(60, (value[60] ?? 0) ^ 1));
    await cold.delete('strata-archive/k/b');
    await hot.delete('foo:♡');
    const { differences, missing } = await one.verify();
    expect(Object.fromEntries(differences.map(({ key, code }) => [key, code]))).toEqual({
      a: 'corrupt',
      hot: 'stale',
      'foo:♡': 'unrecorded',
      'never frozen': 'unfrozen',
    });
    expect(missing).toBe(1);
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 2 });
    await hot.close();
  });
});

describe('archive over a store as a whole', () => {
  it('resurrects nothing that was forgotten while its object is read, or has expired', async () => {
    const env = simulatedEnv(1);
    const plan = new FaultPlan();
    const [lost, hot] = [memory<Uint8Array>({ env }), memory<Uint8Array>({ env })];
    const cold = faultyCold(plan, memory<Uint8Array>({ env }));
    const before = archive({ hot: lost, cold });
    await lost.set('brief', bytes('v'), { expiresAt: env.now() + 1_000 });
    await lost.set('forgotten', bytes('v'));
    await before.dirty('brief', 'forgotten');
    await before.drain();
    await env.advance(1_001);
    const after = archive({ hot, cold });
    plan.hangNext('read', { applied: true, times: 2 });
    const rebuilding = after.rebuildIndex();
    await env.advance(0);
    while (plan.hanging < 2) await Promise.resolve();
    await expect(after.forget('forgotten')).rejects.toMatchObject({ code: 'denied' });
    plan.release();
    expect(await rebuilding).toMatchObject({ recorded: 0, expired: 1, hot: 1 });
    expect(await after.stats()).toMatchObject({ evicted: 0, dirty: 1 });
    await env.advance(60_000);
    expect(await after.drain()).toMatchObject({ deleted: 1, failed: [] });
  });

  it('finds damage inside, also where the seal does not', async () => {
    const seal: Seal = { freeze: async (all) => all.slice(), thaw: async (all) => all.slice() };
    const [hot, cold] = [memory<Uint8Array>(), memory<Uint8Array>()];
    const one = archive({ hot, cold, seal });
    await hot.set('k', bytes('value'));
    await one.dirty('k');
    await one.drain();
    await one.evict('k');
    const object = (await cold.get('strata-archive/k/k')) as Uint8Array;
    await cold.set('strata-archive/k/k', object.with(object.length - 1, 0x7e));
    await expect(one.ensure('k')).rejects.toMatchObject({ code: 'corrupt', key: 'k' });
    expect(await hot.has('k')).toBe(false);
    expect(await one.verify()).toMatchObject({ differences: [{ key: 'k', code: 'corrupt' }] });
    const foreign = changedObject(object, ({ described }) => ({
      described: { ...described, digest: '0'.repeat(40) },
      payload: bytes('what another kind of hot side gives'),
    }));
    await cold.set('strata-archive/k/k', foreign);
    await expect(one.ensure('k')).rejects.toMatchObject({ code: 'unsupported', key: 'k' });
    await cold.set('strata-archive/k/k', object);
    await one.ensure('k');
    expect(await hot.get('k')).toEqual(bytes('value'));
  });

  it('keeps no record of a key that is written while its object is read, and deleted unmarked', async () => {
    const plan = new FaultPlan();
    const [lost, hot] = [memory<Uint8Array>(), memory<Uint8Array>()];
    const cold = faultyCold(plan);
    const before = archive({ hot: lost, cold });
    await lost.set('k', bytes('old'));
    await before.dirty('k');
    await before.drain();
    const after = archive({ hot, cold });
    plan.hangNext('read', { applied: true });
    const rebuilding = after.rebuildIndex();
    while (plan.hanging < 1) await new Promise(setImmediate);
    await hot.set('k', bytes('new'));
    plan.release();
    expect(await rebuilding).toMatchObject({ recorded: 0, hot: 1 });
    await hot.delete('k');
    await after.ensure('k');
    expect(await hot.has('k')).toBe(false);
  });
});
