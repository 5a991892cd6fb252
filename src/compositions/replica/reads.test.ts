/** Many reads while a member is slow, fails or hangs: none is a false miss, and nothing is left behind. */
import { expect, test } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import type { Store } from '../../store/store.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { type ReplicaOptions, replica } from './index.ts';

/** Of each combination; more by `STRATAKV_READS`. */
const READS = Number(process.env.STRATAKV_READS ?? 2_000);
const AT_ONCE = 200;
const KEYS = 50;

const troubles: Record<string, (plan: FaultPlan, at: number) => void> = {
  slow: (plan) => plan.delay('read', 20),
  failing: (plan, at) => plan.failNext('read', 'unavailable', { times: AT_ONCE, after: at }),
  hanging: (plan) => plan.hangNext('read', { times: AT_ONCE / 2 }),
};

const cases = [1, 2, 3].flatMap((members) =>
  Object.keys(troubles).flatMap((trouble) =>
    (['first', 'hedged'] as const).map((read) => ({ members, trouble, read })),
  ),
);

test.each(cases)(
  '$members members, one $trouble, read $read',
  async ({ members, trouble, read }) => {
    const env = simulatedEnv();
    const plans = Array.from({ length: members }, () => new FaultPlan());
    const sync = plans.map((plan): Store<number> => faulty(memory<number>({ env }), plan));
    const options: ReplicaOptions<number> = { sync, read, timeoutMs: 1_000 };
    const store = replica(options);
    for (let n = 0; n < KEYS; n++) await store.set(`k${n}`, n);
    await store.flush();
    const timers = env.pendingTimers;
    let answered = 0;
    for (let done = 0, round = 0; done < READS; done += AT_ONCE, round++) {
      const troubled = plans[round % members] as FaultPlan;
      troubles[trouble]?.(troubled, round % 7);
      const reads = Array.from({ length: AT_ONCE }, (_, n) => {
        const isThere = n % 5 !== 0;
        return store
          .get(isThere ? `k${(n + round) % KEYS}` : `none${n}`)
          .then((value) => {
            expect(value).toBe(isThere ? (n + round) % KEYS : undefined);
            answered++;
          })
          .catch((error: { code?: string }) => {
            // With one member there is nobody else to ask.
            if (members > 1 || !['unavailable', 'timeout'].includes(error.code ?? '')) throw error;
          });
      });
      await env.advance(1_100);
      await Promise.all(reads);
      for (const plan of plans) plan.heal();
      await env.advance(50);
    }
    if (members > 1) expect(answered).toBe(READS);
    expect(answered).toBeGreaterThan(0);
    expect(plans.map(({ hanging }) => hanging)).toEqual(plans.map(() => 0));
    expect(env.pendingTimers).toBeLessThanOrEqual(timers + 1);
    await store.close();
  },
);

test.each(['first', 'hedged'] as const)(
  'members that do not heed an abort hold nobody past the deadline, read %s',
  async (read) => {
    const env = simulatedEnv();
    const plans = Array.from({ length: 3 }, () => new FaultPlan());
    const sync = plans.map((plan): Store<number> => faulty(memory<number>({ env }), plan));
    const store = replica({ sync, read });
    await store.set('a', 1);
    await store.flush();
    for (const plan of plans) plan.hangNext('read', { times: Number.POSITIVE_INFINITY });
    const codes: unknown[] = [];
    for (const timeoutMs of [50, 100])
      store.get('a', { timeoutMs }).catch(({ code }: { code: string }) => codes.push(code));
    const aborting = new AbortController();
    store
      .get('a', { signal: aborting.signal })
      .catch(({ code }: { code: string }) => codes.push(code));
    await env.advance(10);
    aborting.abort();
    await env.advance(39);
    expect(codes).toEqual(['aborted']);
    await env.advance(1);
    expect(codes).toEqual(['aborted', 'timeout']);
    await env.advance(50);
    expect(codes).toEqual(['aborted', 'timeout', 'timeout']);
    expect(plans.some(({ hanging }) => hanging > 0)).toBe(true);
    for (const plan of plans) plan.heal();
    expect(await store.get('a')).toBe(1);
    await store.close();
  },
);
