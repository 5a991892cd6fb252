import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { faultyCold } from '../../../test/support/faulty-cold.ts';
import { memory } from '../../drivers/memory/index.ts';
import { FaultPlan, faulty } from '../../testing/index.ts';
import { archive } from './index.ts';

it('fetches on while the hot side restores, up to a bound, and names what failed', async () => {
  const hotPlan = new FaultPlan();
  const plan = new FaultPlan();
  const hot = faulty(memory<Uint8Array>(), hotPlan);
  const one = archive({ hot, cold: faultyCold(plan), concurrency: 2 });
  const keys = [...'abcdefgh'];
  for (const key of keys) await hot.set(key, new TextEncoder().encode(key));
  await one.dirty(...keys);
  await one.drain();
  expect(await one.evict(...keys)).toMatchObject({ evicted: keys.length });
  plan.failNext('read', 'unavailable', { after: 1 });
  const before = plan.calls('read');
  hotPlan.hangNext('commit', { times: Number.POSITIVE_INFINITY });
  const ensured = one.ensure(...keys).catch((error: unknown) => error);
  // Two that wait to be restored, two for which there is no room beside them, and one that failed.
  await expect.poll(() => plan.calls('read') - before).toBe(5);
  await setImmediate();
  expect(plan.calls('read') - before).toBe(5);
  hotPlan.heal();
  expect(await ensured).toMatchObject({
    code: 'unavailable',
    details: { failed: [{ key: 'b', error: { code: 'unavailable' } }] },
  });
  for (const key of keys) expect(await hot.has(key)).toBe(key !== 'b');
  await one.ensure(...keys);
  expect(await hot.has('b')).toBe(true);
  await one.close();
});
