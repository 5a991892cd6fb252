/** Whose a cold store is: two hot sides would take each other's values. */
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { memory } from '../../drivers/memory/index.ts';
import type { Store } from '../../store/store.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { type Archive, archive, redisKeys } from './index.ts';

const NOTE = 'strata-archive/id';
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string => new TextDecoder().decode(value);

describeWithEngine('redis-server', 'the owner of a cold store', () => {
  const here = new ArchiveServer();
  const there = new ArchiveServer();

  async function marked(
    on: ArchiveServer,
    one: Archive,
    key: string,
    value: string,
  ): Promise<void> {
    await on.client.set(key, value);
    await one.dirty(key);
  }

  it('keeps another Redis from taking what is not its own, whatever it does', async () => {
    const { one, cold } = here.world();
    await here.evicted(one, 'k', 'ours');
    const { one: other } = there.world({ cold });
    await marked(there, other, 'k', 'theirs');
    const refused = {
      code: 'denied',
      message: expect.stringMatching(/^archive: strata-archive .*rebuildIndex/),
    };
    expect(await other.drain()).toMatchObject({ frozen: 0, failed: [{ key: 'k' }] });
    expect(await other.failed()).toMatchObject([{ key: 'k', cause: refused }]);
    await expect(other.verify()).rejects.toMatchObject(refused);
    expect(await there.client.get('k')).toBe('theirs');
    expect(await other.stats()).toMatchObject({ dirty: 1, evicted: 0 });
    await one.ensure('k');
    expect(await here.client.get('k')).toBe('ours');
    expect(await one.verify()).toMatchObject({ differing: 0, missing: 0 });
  });

  it('lets another Redis take its place by rebuilding, and refuses the one before from then on', async () => {
    const { one, another, cold } = here.world();
    await here.evicted(one, 'k', 'v');
    const { one: heir } = there.world({ cold });
    expect(await heir.rebuildIndex({ restore: true })).toMatchObject({ recorded: 1, restored: 1 });
    expect(await there.client.get('k')).toBe('v');
    await here.client.set('late', 'v');
    const after = another();
    await after.dirty('late');
    expect(await after.drain()).toMatchObject({ failed: [{ key: 'late' }] });
    await expect(after.ensure('k')).rejects.toMatchObject({ code: 'denied', key: 'k' });
  });

  it('notices that Redis was emptied, in place of freezing over what it had', async () => {
    const { one, another, cold } = here.world();
    await here.evicted(one, 'k', 'v');
    const frozen = await cold.get('strata-archive/k/k');
    await here.client.flushAll();
    await expect(another().verify()).rejects.toMatchObject({ code: 'denied' });
    expect(await here.client.keys('*')).toEqual([]);
    // Of one that runs all the while, and of one that is opened then.
    for (const each of [one, another()]) {
      await marked(here, each, 'k', 'new');
      await here.makeDue();
      expect(await each.drain()).toMatchObject({ failed: [{ key: 'k' }] });
      expect(await each.failed()).toMatchObject([{ key: 'k', cause: { code: 'denied' } }]);
    }
    expect(await cold.get('strata-archive/k/k')).toEqual(frozen);
    await here.client.del('k');
    await expect(one.forget('k')).rejects.toMatchObject({ code: 'denied' });
    const after = another();
    expect(await after.rebuildIndex()).toMatchObject({ objects: 1, hot: 1 });
    await here.makeDue();
    expect(await one.drain()).toMatchObject({ deleted: 1, failed: [] });
  });

  it('lets any number of archives of one Redis begin at once', async () => {
    const { another, cold } = here.world();
    const keys = Array.from({ length: 8 }, (_, n) => `k${n}`);
    const all = keys.map(() => another());
    await Promise.all(all.map((one, n) => marked(here, one, keys[n] as string, 'v')));
    const done = await Promise.all(all.map((one) => one.drain()));
    expect(done.flatMap(({ failed }) => failed)).toEqual([]);
    expect(text(await cold.get(NOTE))).toBe(await here.client.get('strata-archive:id'));
    expect(await Promise.all(keys.map((key) => cold.has(`strata-archive/k/${key}`)))).toEqual(
      keys.map(() => true),
    );
  });

  it('lets one of two begin, whose archives share a name and a cold store', async () => {
    const { one, cold } = here.world();
    const { one: other } = there.world({ cold });
    await Promise.all([marked(here, one, 'k', 'here'), marked(there, other, 'k', 'there')]);
    const done = await Promise.all([one.drain(), other.drain()]);
    expect(done.map(({ frozen }) => frozen).sort()).toEqual([0, 1]);
    expect(done.flatMap(({ failed }) => failed)).toMatchObject([{ error: { code: 'denied' } }]);
  });

  it('belongs to nobody after a rebuild that did not come to its end', async () => {
    const { one, another, cold, plan } = here.world();
    for (const key of ['a', 'b', 'c']) await here.evicted(one, key, 'v');
    await here.client.flushAll();
    plan.failNext('read', 'unavailable', { after: 1 });
    await expect(one.rebuildIndex()).rejects.toMatchObject({ code: 'unavailable' });
    // Keys without a record are taken for deleted: written anew, they must not replace the old ones.
    for (const each of [one, another()]) {
      for (const key of ['a', 'b', 'c']) await marked(here, each, key, 'new');
      await here.makeDue();
      expect(await each.drain()).toMatchObject({ frozen: 0 });
      await here.client.del(['a', 'b', 'c']);
    }
    expect(text(await cold.get(NOTE))).toMatch(/^taken by archive:/);
    expect(await one.rebuildIndex()).toMatchObject({ failures: 0 });
    await marked(here, one, 'd', 'v');
    expect(await one.drain()).toMatchObject({ failed: [] });
  });

  it('is not taken by a Redis that was emptied while it rebuilt', async () => {
    const { one, plan } = here.world();
    await here.evicted(one, 'a', 'v');
    await here.client.flushAll();
    plan.hangNext('read');
    const rebuilding = expect(one.rebuildIndex()).rejects.toMatchObject({ code: 'denied' });
    await expect.poll(() => plan.hanging).toBe(1);
    await here.client.flushAll();
    plan.release();
    await rebuilding;
    await marked(here, one, 'b', 'v');
    expect(await one.drain()).toMatchObject({ failed: [{ error: { code: 'denied' } }] });
    expect(await one.rebuildIndex({ restore: true })).toMatchObject({ restored: 1 });
  });

  it('goes on where a process ended between the two names, and where an answer was lost', async () => {
    const plan = new FaultPlan();
    const cold = faulty(memory<Uint8Array>(), plan);
    const { one, another } = here.world({ cold });
    plan.failNext('commit');
    await marked(here, one, 'k', 'v');
    expect(await one.drain()).toMatchObject({ failed: [{ key: 'k' }] });
    expect(await here.client.get('strata-archive:id')).toMatch(/^archive:[\w-]{16,}$/);
    expect(await cold.has(NOTE)).toBe(false);
    const after = another();
    plan.failNext('commit', undefined, { applied: true });
    await here.makeDue();
    expect(await after.drain()).toMatchObject({ frozen: 1, failed: [] });
    await here.makeDue();
    expect(await one.evict('k')).toEqual({ evicted: 1, kept: [] });
  });

  it('writes nothing where it only looks', async () => {
    const { one, cold } = here.world();
    await here.client.set('k', 'v');
    expect(await one.verify()).toMatchObject({ differences: [{ key: 'k', code: 'unfrozen' }] });
    await one.ensure('k', 'missing');
    expect(await Array.fromAsync(cold.keys())).toEqual([]);
    expect(await here.client.keys('*')).toEqual(['k']);
  });

  it('leaves the names of others alone when it evicts', async () => {
    const { one } = here.world();
    const other = redisKeys(redisClients['node-redis'](here.url).client, {
      prefix: 'o',
      namespace: 'other',
    });
    const { one: beside } = here.world({ hot: other });
    await here.evicted(beside, 'ok', 'v');
    const id = await here.client.get('other:id');
    await here.client.set('mine:id', 'a value');
    await one.dirty('mine:id');
    await one.drain();
    expect(await one.evict('mine:id')).toEqual({ evicted: 1, kept: [] });
    await one.dirty('other:id');
    await one.drain();
    await one.evict('other:id');
    expect(await here.client.get('other:id')).toBe(id);
  });

  it('gives archives with a namespace each their own place in one cold store', async () => {
    const cold = memory<Uint8Array>();
    const { one } = here.world({ cold });
    await here.evicted(one, 'k', 'here');
    const hot = redisKeys(redisClients['node-redis'](there.url).client, { namespace: 'there' });
    const { one: other } = there.world({ cold, hot });
    await there.evicted(other, 'k', 'there');
    await Promise.all([one.ensure('k'), other.ensure('k')]);
    expect([await here.client.get('k'), await there.client.get('k')]).toEqual(['here', 'there']);
  });

  it('looks again after a minute whether its place was taken', async () => {
    const env = simulatedEnv(1);
    const cold = memory<Uint8Array>();
    const [old, young] = [memory<Uint8Array>({ env }), memory<Uint8Array>({ env })];
    const one = archive({ hot: old, cold, throttleMs: 0 });
    await old.set('k', bytes('v'));
    await one.dirty('k');
    expect(await one.drain()).toMatchObject({ frozen: 1, failed: [] });
    const heir = archive({ hot: young, cold, throttleMs: 0 });
    expect(await heir.rebuildIndex({ restore: true })).toMatchObject({ restored: 1 });
    await env.advance(60_000);
    await one.dirty('k');
    expect(await one.drain()).toMatchObject({ failed: [{ error: { code: 'denied' } }] });
    await heir.dirty('k');
    expect(await heir.drain()).toMatchObject({ frozen: 1, failed: [] });
    await Promise.all([one, heir].map((each) => each.close()));
  });

  it('tells hot stores apart too, and one that was emptied', async () => {
    const cold = memory<Uint8Array>();
    const worldOf = (hot: Store<Uint8Array>): Archive => archive({ hot, cold, throttleMs: 0 });
    const [first, second] = [memory<Uint8Array>(), memory<Uint8Array>()];
    const one = worldOf(first);
    await first.set('k', bytes('first'));
    await one.dirty('k');
    expect(await one.drain()).toMatchObject({ frozen: 1, failed: [] });
    await second.set('k', bytes('second'));
    const other = worldOf(second);
    await other.dirty('k');
    expect(await other.drain()).toMatchObject({ failed: [{ key: 'k' }] });
    expect(await other.failed()).toMatchObject([{ cause: { code: 'denied' } }]);
    // Another archive of the first is at home.
    const again = worldOf(first);
    expect(await again.evict('k')).toEqual({ evicted: 1, kept: [] });
    await other.rebuildIndex();
    expect(await other.stats()).toMatchObject({ dirty: 1 });
    expect(text(await second.get('k'))).toBe('second');
    await Promise.all([one, other, again].map((each) => each.close()));
  });
});
