/** Writers that wait for a member are told that it has their write when it has, and not before. */
import { describe, expect, test } from 'vitest';
import { LateMembers } from '../../../test/support/late-members.ts';
import { losable } from '../../../test/support/losable.ts';
import { memory } from '../../drivers/memory/index.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { replica } from './index.ts';
import { WaiterList, waiterFor } from './waiters.ts';

describe('a writer', () => {
  test('whose write a newer one has replaced waits for that one only', async () => {
    const w = await new LateMembers(2).open({ intents: false });
    // The first store answers the older write last.
    w.plan(0).hangNext('commit', { applied: true });
    const older = w.store.set('k', 'older');
    await w.env.advance(1);
    await w.take(w.store.set('k', 'newer'));
    await w.take(w.store.flush());
    w.plan(0).release();
    expect((await w.timed(older)).ms).toBeLessThan(50);
    expect(await w.members[1]?.get('k')).toBe('newer');
    await w.take(w.store.close());
  });

  test('is not told by what was noted in another epoch of the first store', async () => {
    const env = simulatedEnv();
    const first = losable<string>(env);
    const member = memory<string>({ env });
    const plan = new FaultPlan();
    const store = replica({ sync: [first.store, faulty(member, plan)], env });
    for (let n = 0; n < 50; n++) await store.set('k', String(n));
    await store.flush();
    await env.advance(2_000);
    const told: Promise<void>[] = [];
    const early: string[] = [];
    const write = (key: string): void => {
      const check = async (): Promise<void> => {
        if ((await member.get(key)) !== 'new') early.push(key);
      };
      told.push(store.set(key, 'new').then(check, () => {}));
    };
    // It is in the first store alone when that loses its data.
    plan.hangNext('commit');
    write('lost');
    await env.advance(10);
    plan.delay('read', 40).delay('commit', 300);
    first.lose();
    for (let n = 0; n < 100; n++) {
      write(`n${n}`);
      await env.advance(10);
    }
    await env.advance(3_000);
    plan.release();
    await env.advance(20_000);
    await Promise.all(told);
    expect(early).toEqual([]);
    expect(await member.get('n99')).toBe('new');
    await store.close();
  });

  test('who has gone is not remembered while a member is brought up to date', () => {
    const list = new WaiterList();
    const stays = waiterFor(1);
    list.add(stays);
    for (let rev = 2; rev < 20_000; rev++) {
      const waiter = waiterFor(rev);
      list.add(waiter);
      waiter.isLeft = true;
    }
    expect(list.size).toBeLessThan(5_000);
    list.settle(() => true);
    expect(stays.state).toBe('here');
  });
});
