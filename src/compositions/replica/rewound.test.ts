/** A first store that loses its data while the replica is open, as a server does that restarts empty. */
import { expect, test } from 'vitest';
import { losable } from '../../../test/support/losable.ts';
import { memory } from '../../drivers/memory/index.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { replica } from './index.ts';

const env = simulatedEnv();

test('gets everything back, and counts from its new revisions on', async () => {
  const first = losable<string>(env);
  const plan = new FaultPlan();
  const member = memory<string>({ env });
  const store = replica({ sync: [first.store, faulty(member, plan)] });
  for (let n = 0; n < 50; n++) await store.set(`k${n % 10}`, String(n));
  await env.advance(2_000);
  first.lose();
  const lost = store.set('lost', 'before it is noticed');
  await env.advance(2_000);
  await lost;
  expect(store.status().members[0]).toMatchObject({ state: 'live' });
  expect(await store.get('k3')).toBe('43');
  expect(await member.get('lost')).toBe('before it is noticed');
  // A revision that was used before the loss is none that the member has.
  plan.delay('commit', 100);
  let isDone = false;
  const writing = store.set('k3', 'new').then(() => {
    isDone = true;
  });
  await env.advance(50);
  expect([isDone, await member.get('k3')]).toEqual([false, '43']);
  await env.advance(200);
  await writing;
  expect(await member.get('k3')).toBe('new');
  plan.heal();
  await store.close();
});
