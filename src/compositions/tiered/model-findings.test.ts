/** Replays of what the model has found. */
import { describe, expect, it } from 'vitest';
import { TieredModelWorld } from '../../../test/support/tiered-model-world.ts';
import { loadBehind } from './late-behind.ts';

const PROMPT = { front: false, back: false, journal: false };

describe('a front that outlives the process', () => {
  for (const read of ['front-first', 'front-only'] as const)
    it(`does not keep what the back was rid of just before a crash, read ${read}`, async () => {
      await loadBehind();
      const world = new TieredModelWorld({
        options: { write: 'behind', read },
        keepsFront: true,
        late: PROMPT,
        wait: () => Promise.resolve(),
      });
      const { env, inBack, plans } = world;
      await inBack.set('c', 'old');
      expect(await world.store.get('c', { fresh: true })).toBe('old');
      plans.back.hangNext('commit', { applied: true });
      await world.store.delete('c');
      await env.advance(0);
      expect(inBack.blocking.get('c')).toBeUndefined();
      world.restart();
      await env.advance(1_000);
      const reading = world.store.get('c');
      await env.advance(1_000);
      expect(await reading).toBeUndefined();
      await env.advance(10_000);
      expect(await world.store.get('c')).toBeUndefined();
      await world.store.close();
    });
});
