/** The cold store is away, in real time and under load. */
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';

const OUTAGE_MS = Number(process.env.STRATAKV_OUTAGE_MS ?? 2_000);

describeWithEngine('redis-server', 'archive, whose cold store is away', () => {
  const on = new ArchiveServer();

  it('loses nothing, evicts nothing, and catches up', { timeout: OUTAGE_MS + 60_000 }, async () => {
    const { one, another, plan } = on.world();
    const keys = Array.from({ length: 300 }, (_, n) => `k${n}`);
    const expected = new Map<string, string>();
    const workers = [one, another()].map((each) => each.worker({ idleMs: 20, evictEveryMs: 100 }));
    let over = false;
    const write = async (): Promise<void> => {
      for (let n = 0; !over; n++) {
        const key = keys[n % keys.length] as string;
        // What is evicted while the cold store is away cannot be had, and so is not written.
        const isThere = await one.ensure(key).then(
          () => true,
          () => false,
        );
        if (!isThere) continue;
        await on.client.set(key, `v${n}`);
        await one.dirty(key);
        expected.set(key, `v${n}`);
      }
    };
    const writing = write();
    await expect.poll(() => expected.size, { timeout: 20_000 }).toBe(keys.length);
    plan.failNext('read', 'timeout', { times: Number.POSITIVE_INFINITY });
    plan.failNext('commit', 'unavailable', { times: Number.POSITIVE_INFINITY });
    const before = await one.stats();
    await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
    expect((await one.stats()).evicted).toBeLessThanOrEqual(before.evicted);
    expect((await one.stats()).dirty).toBeGreaterThan(0);
    over = true;
    await writing;
    plan.heal();
    // Tries are ten seconds apart at most, those of one key a minute.
    const dirty = async (): Promise<number> => {
      await on.makeDue();
      return (await one.stats()).dirty;
    };
    await expect.poll(dirty, { timeout: 30_000, interval: 200 }).toBe(0);
    await Promise.all(workers.map((worker) => worker.stop()));
    await on.makeDue();
    await one.drain();
    await one.evict(...keys);
    await one.ensure(...keys);
    expect(await on.client.mGet(keys)).toEqual(keys.map((key) => expected.get(key)));
  });
});
