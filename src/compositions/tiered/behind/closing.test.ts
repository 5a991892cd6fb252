/** A store that is written behind, closed while its journal does not answer. */
import '../../../../test/support/behind-loaded.ts';
import { describe, expect, it } from 'vitest';
import { BehindWorld, LEASE_MS } from '../../../../test/support/behind-world.ts';
import { codeOf } from '../../../../test/support/tiered-world.ts';

const UNBOUNDED = { timeoutMs: Number.POSITIVE_INFINITY };

describe('a close, where the journal does not answer', () => {
  for (const where of ['commit', 'read'] as const)
    it(`ends the calls that wait for it to open, and leaves no timers, ${where}`, async () => {
      const world = new BehindWorld();
      const { store, plans } = world.start();
      plans.journal.hangNext(where, { times: Number.POSITIVE_INFINITY });
      const codes = [
        codeOf(store.get('k', UNBOUNDED)),
        codeOf(store.set('k', 1, UNBOUNDED)),
        codeOf(store.flush()),
        codeOf(store.deadLetters(UNBOUNDED)),
      ];
      await world.env.advance(10);
      let ended = 0;
      for (const code of codes) void code.then(() => ended++);
      const closing = store.close().then(() => ended);
      await world.env.advance(30_000);
      expect(await closing).toBe(codes.length);
      expect(new Set(await Promise.all(codes))).toEqual(new Set(['closed']));
      expect(world.env.pendingTimers).toBe(0);
    });

  it('ends the writes that it was given, whose fate nobody knows', async () => {
    const world = new BehindWorld();
    const first = world.start();
    const { store, plans } = first;
    const opened = store.get('k');
    await world.env.advance(10);
    await opened;
    plans.journal.hangNext('commit', { applied: true });
    const code = codeOf(store.set('k', 1, UNBOUNDED));
    await world.env.advance(10);
    let ended = false;
    void code.then(() => {
      ended = true;
    });
    const closing = store.close().then(() => ended);
    await world.env.advance(30_000);
    expect(await closing).toBe(true);
    expect(await code).toBe('unknown-outcome');
    first.kill();
    const next = world.start();
    const reading = next.store.get('k');
    await world.env.advance(20 * LEASE_MS);
    expect(await reading).toBe(1);
  });
});
