/** A hot side that fails in the midst of work. */
import { expect, it } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { FaultPlan, faulty } from '../../testing/index.ts';
import { archive } from './index.ts';

it('does not take the cold store for away while the hot side is', async () => {
  for (let after = 0; after < 16; after++) {
    const plan = new FaultPlan();
    const hot = faulty(memory<Uint8Array>(), plan);
    const one = archive({ hot, cold: memory<Uint8Array>(), throttleMs: 0 });
    const keys = Array.from({ length: 12 }, (_, n) => `k${n}`);
    for (const key of keys) await hot.set(key, new Uint8Array(1));
    await one.dirty(...keys);
    const events: string[] = [];
    plan.failNext('read', 'unavailable', { after, times: Number.POSITIVE_INFINITY });
    const worker = one.worker({ idleMs: 5, monitor: ({ type }) => events.push(type) });
    const told = (): boolean => events.includes('hot-away') || events.length > keys.length;
    await expect.poll(told).toBe(true);
    plan.heal();
    expect([after, events.filter((type) => type === 'cold-away')]).toEqual([after, []]);
    await worker.stop();
    await one.close();
  }
});
