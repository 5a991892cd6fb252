/** A window whose outcome stays unknown is tried on under one name, however often. */
import '../../../../test/support/behind-loaded.ts';
import { expect, it } from 'vitest';
import { given } from '../../../../test/support/journal-world.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { defineStore, primitivesOf, StrataError } from '../../../store/index.ts';
import { simulatedEnv } from '../../../testing/index.ts';
import { tiered } from '../index.ts';

it('names the same writes alike in every try, and settles them when one has landed', async () => {
  const env = simulatedEnv();
  const inner = primitivesOf(memory<unknown>({ env }));
  const { blocking: _, ...rest } = inner;
  const names: unknown[] = [];
  const back = defineStore({
    ...rest,
    capabilities: Object.freeze({ ...inner.capabilities, blocking: false }),
    commit: async (writes, call) => {
      const fence = writes.at(-1);
      if (fence?.type === 'set') names.push(fence.meta?.window);
      if (names.length >= 20) await inner.commit(writes, call);
      throw new StrataError('unknown-outcome', 'lost', { operation: 'flush' });
    },
  });
  const front = memory<unknown>({ env });
  const store = tiered({ front, back, write: 'behind', journal: 'volatile', env });
  await given(env, store.set('a', 1));
  await env.advance(3_600_000);
  expect(store.pending().keys).toBe(0);
  expect(names).toHaveLength(20);
  expect(new Set(names).size).toBe(1);
});
