/** Lists of a replica that reach the reserved keys, among which its notes and intents stand. */
import { expect, test } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { Call } from '../../store/call.ts';
import { primitivesOf } from '../../store/internals.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { replica } from './index.ts';

test.each([false, true])(
  'a limited scan is not cut short by what a member keeps for itself (reverse: %s)',
  async (reverse) => {
    const env = simulatedEnv();
    const [a, b] = [memory<string>({ env }), memory<string>({ env })];
    const plan = new FaultPlan();
    const store = replica({ sync: [faulty(a, plan), b], env });
    const call = new Call(env, 'test');
    const sets = (keys: readonly string[]) =>
      keys.map((key) => ({ type: 'set' as const, key, value: '1' }));
    const reserved = ['\u0000a', '\u0000z', '\u0000zz'];
    await primitivesOf(store).commit(sets(reserved), call);
    await store.flush();
    const intents = [7, 8, 9].map((slot) => `\u0000replica/1/intent/${slot}`);
    await primitivesOf(b).commit(sets(intents), call);
    plan.failNext('scan', 'unavailable', { times: Number.POSITIVE_INFINITY });
    for (const limit of [1, 2, 3]) {
      const found: string[] = [];
      for await (const page of primitivesOf(store).scanKeys({ reverse, limit }, call))
        found.push(...page);
      const expected = reverse ? [...reserved].reverse() : reserved;
      expect(found).toEqual(expected.slice(0, limit));
    }
    plan.heal();
    await store.close();
  },
);
