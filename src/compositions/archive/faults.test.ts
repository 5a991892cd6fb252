/** What went wrong in archives before, and what goes wrong between one step and the next. */
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { faultyCold } from '../../../test/support/faulty-cold.ts';
import { FaultPlan } from '../../testing/index.ts';

/** Machines may be busy. */
const until = <T>(read: () => T) => expect.poll(read, { timeout: 15_000, interval: 5 });

describeWithEngine('redis-server', 'archive, when something fails or comes late', () => {
  const on = new ArchiveServer();

  it('loses no mark and evicts nothing while the cold store is away (A20)', async () => {
    const { one, plan } = on.world();
    await on.frozen(one, 'k', 'old');
    await on.client.set('k', 'new', { PX: 600_000 });
    await one.dirty('k');
    plan.failNext('commit', 'unavailable', { times: 3 });
    expect((await one.drain()).failed).toMatchObject([
      { key: 'k', error: { code: 'unavailable' } },
    ]);
    expect(await one.evict('k')).toEqual({ evicted: 0, kept: [{ key: 'k', reason: 'dirty' }] });
    await on.frozen(one, 'other', 'value').catch(() => undefined);
    expect(await on.client.get('k')).toBe('new');
    expect((await one.stats()).dirty).toBe(2);
    // Marked again by its writer or due again by itself, it is the newest that is frozen.
    await on.makeDue();
    plan.heal();
    await one.drain();
    expect((await one.stats()).dirty).toBe(0);
    await one.evict('k');
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('new');
  });

  it('fails no eviction into a state in between when the cold store is away', async () => {
    const { one, plan } = on.world();
    await on.frozen(one, 'k', 'v');
    plan.failNext('read');
    await expect(one.evict('k')).rejects.toMatchObject({ code: 'unavailable' });
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 0 });
    expect(await one.evict('k')).toMatchObject({ evicted: 1 });
  });

  it('lets any number restore at once, and fetches once in each process (A21)', async () => {
    const { one, another, plan } = on.world();
    await on.evicted(one, 'k', 'v');
    const reads = plan.calls('read');
    const others = [one, another(), another()];
    await Promise.all(others.flatMap((each) => [each.ensure('k'), each.ensure('k')]));
    expect(await on.client.get('k')).toBe('v');
    expect(plan.calls('read') - reads).toBeLessThanOrEqual(3);
    expect((await one.stats()).evicted).toBe(0);
  });

  it('restores over nothing newer, and freezes what was written over an evicted key', async () => {
    const { one } = on.world();
    await on.evicted(one, 'k', 'old');
    await on.client.set('k', 'new');
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('new');
    expect(await one.stats()).toMatchObject({ dirty: 1, evicted: 0 });
    await one.drain();
    await one.evict('k');
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('new');
  });

  it('marks instead of evicting what was changed without a mark, its expiry too', async () => {
    const { one } = on.world();
    for (const change of [
      () => on.client.append('k', '!'),
      () => on.client.pExpire('k', 600_000),
      () => on.client.persist('k'),
    ]) {
      await on.frozen(one, 'k', 'v');
      await on.client.pExpire('k', 700_000);
      await one.dirty('k');
      await one.drain();
      await change();
      expect(await one.evict('k')).toEqual({ evicted: 0, kept: [{ key: 'k', reason: 'dirty' }] });
      expect(await one.drain()).toMatchObject({ frozen: 1 });
      expect(await one.evict('k')).toMatchObject({ evicted: 1 });
      await one.ensure('k');
    }
    await on.client.set('never marked', 'v');
    expect(await one.evict('never marked')).toMatchObject({ kept: [{ reason: 'dirty' }] });
    expect(await one.drain()).toMatchObject({ frozen: 1 });
  });

  it('evicts nothing whose cold object changes while it is looked at', async () => {
    const { one, another, plan } = on.world({ leaseMs: 1 });
    const other = another();
    await on.frozen(one, 'k', 'a');
    plan.hangNext('read', { applied: true });
    const evicting = one.evict('k');
    await until(() => plan.hanging).toBe(1);
    // Frozen as something else, and then as it was, without a mark.
    await on.frozen(other, 'k', 'b');
    await on.client.set('k', 'a');
    plan.release();
    expect(await evicting).toEqual({ evicted: 0, kept: [{ key: 'k', reason: 'dirty' }] });
    expect(await one.evict('k')).toMatchObject({ evicted: 0 });
    await one.drain();
    expect(await one.evict('k')).toMatchObject({ evicted: 1 });
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('a');
  });

  it('raises a clock that went back also by keys that are marked all the time', async () => {
    const { one, another, plan } = on.world();
    await on.client.set('strata-archive:clock', 1_000);
    await on.frozen(one, 'k', 'old');
    await on.client.set('strata-archive:clock', 1);
    const other = another();
    await on.client.set('k', 'new');
    await other.dirty('k');
    plan.hangNext('read', { applied: true });
    const draining = other.drain();
    await until(() => plan.hanging).toBe(1);
    await one.dirty('k');
    plan.release();
    expect(await draining).toEqual({ frozen: 1, deleted: 0, failed: [] });
    expect((await one.stats()).dirty).toBe(0);
  });

  it('restores nothing older than what was evicted last', async () => {
    const { one, another, plan } = on.world();
    const other = another();
    await on.evicted(one, 'k', 'old');
    plan.hangNext('read', { applied: true });
    const slow = one.ensure('k');
    await until(() => plan.hanging).toBe(1);
    await other.ensure('k');
    await on.evicted(other, 'k', 'new');
    plan.release();
    await slow;
    expect(await on.client.get('k')).toBe('new');
  });

  it('keeps one mark of a key that is written 10,000 times while it is frozen (A25)', async () => {
    const { one, plan } = on.world({ throttleMs: 60_000 });
    await on.client.set('k', '0');
    await one.dirty('k');
    plan.hangNext('commit');
    const draining = one.drain();
    await until(() => plan.hanging).toBe(1);
    for (let n = 1; n <= 100; n++) {
      await on.client.set('k', String(n * 100));
      await Promise.all(Array.from({ length: 100 }, () => one.dirty('k')));
    }
    expect((await one.stats()).dirty).toBe(1);
    plan.release();
    // The mark is newer than what was frozen.
    expect(await draining).toEqual({ frozen: 0, deleted: 0, failed: [] });
    expect((await one.stats()).dirty).toBe(1);
  });

  it('lets a late put of a worker that lost its lease change nothing (A25)', async () => {
    const { one, another, plan } = on.world({ leaseMs: 1 });
    await on.client.set('k', 'old');
    await one.dirty('k');
    plan.hangNext('commit');
    const late = one.drain();
    await until(() => plan.hanging).toBe(1);
    const other = another();
    await on.frozen(other, 'k', 'new');
    expect((await one.stats()).dirty).toBe(0);
    plan.release();
    await late;
    expect((await one.stats()).dirty).toBe(0);
    expect(await one.evict('k')).toMatchObject({ evicted: 1 });
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('new');
  });

  it('leaves the lease of another alone when its own has ended', async () => {
    const { one, another, cold, plan } = on.world();
    const otherPlan = new FaultPlan();
    const other = another({ cold: faultyCold(otherPlan, cold) });
    await on.client.set('k', 'v');
    await one.dirty('k');
    plan.hangNext('commit');
    const first = one.drain();
    await until(() => plan.hanging).toBe(1);
    await on.makeDue();
    otherPlan.hangNext('commit');
    const second = other.drain();
    await until(() => otherPlan.hanging).toBe(1);
    plan.release();
    expect(await first).toEqual({ frozen: 0, deleted: 0, failed: [] });
    // Taken once more now, it would be taken again and again, and by nobody in time.
    expect(await on.client.zScore('strata-archive:due', 'k')).toBeGreaterThan(Date.now() + 30_000);
    otherPlan.release();
    expect(await second).toMatchObject({ frozen: 1 });
    expect(await one.stats()).toMatchObject({ dirty: 0, failing: 0 });
  });

  it('settles a put whose answer was lost, by looking', async () => {
    const { one, plan, cold } = on.world();
    await on.client.set('k', 'v');
    await one.dirty('k');
    plan.failNext('commit', undefined, { applied: true });
    expect(await one.drain()).toEqual({ frozen: 1, deleted: 0, failed: [] });
    expect(await Array.fromAsync(cold.keys({ prefix: 'strata-archive/k/' }))).toEqual([
      'strata-archive/k/k',
    ]);
    expect((await one.stats()).dirty).toBe(0);
  });

  it('never brings back what was forgotten, evicted or not (A23)', async () => {
    const { one, another } = on.world();
    await on.evicted(one, 'away', 'v');
    await on.frozen(one, 'here', 'v');
    expect(await one.forget('away', 'here', 'never')).toBe(2);
    await another().ensure('away', 'here', 'never');
    expect(await on.client.exists(['away', 'here', 'never'])).toBe(0);
    expect(await one.stats()).toMatchObject({ dirty: 0, oldestMarkMs: 0, evicted: 0 });
    // Written anew, it is a key like others.
    await on.evicted(one, 'away', 'again');
    await one.ensure('away');
    expect(await on.client.get('away')).toBe('again');
  });

  it('forgets for good while the cold store is away, and finishes later', async () => {
    const { one, plan, cold } = on.world();
    await on.evicted(one, 'k', 'v');
    const before = (await cold.get('strata-archive/k/k'))?.length;
    plan.failNext('commit');
    await expect(one.forget('k')).rejects.toMatchObject({ code: 'unavailable' });
    await one.ensure('k');
    expect(await on.client.exists('k')).toBe(0);
    await on.makeDue();
    expect(await one.drain()).toEqual({ frozen: 0, deleted: 1, failed: [] });
    expect((await cold.get('strata-archive/k/k'))?.length).not.toBe(before);
  });

  it('lets a late put make no ghost of what was forgotten', async () => {
    const { one, another, plan } = on.world();
    await on.client.set('k', 'v');
    await one.dirty('k');
    plan.hangNext('commit');
    const late = one.drain();
    await until(() => plan.hanging).toBe(1);
    await another().forget('k');
    plan.release();
    await late;
    await one.drain();
    await one.ensure('k');
    expect(await on.client.exists('k')).toBe(0);
    expect((await one.stats()).dirty).toBe(0);
  });

  it('keeps away what has expired, before its freeze and after its eviction', async () => {
    const { one } = on.world();
    await one.stats();
    await on.client.set('before', 'v');
    await on.client.set('after', 'v', { PX: 1_500 });
    await one.dirty('before', 'after');
    await on.client.pExpire('before', 1);
    await until(() => on.client.exists('before')).toBe(0);
    expect(await one.drain()).toEqual({ frozen: 1, deleted: 1, failed: [] });
    expect(await one.evict('after')).toMatchObject({ evicted: 1 });
    await new Promise((resolve) => setTimeout(resolve, 1_550));
    await one.ensure('before', 'after');
    expect(await on.client.exists(['before', 'after'])).toBe(0);
    expect((await one.stats()).evicted).toBe(0);
    expect(await one.drain()).toMatchObject({ deleted: 1 });
  });
});
