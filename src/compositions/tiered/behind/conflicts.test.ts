/** Pending writes that the back refuses, or that meet changes of others, in simulated time. */
import { describe, expect, it } from 'vitest';
import {
  BehindWorld,
  begin,
  keysOf,
  kindsOf,
  LEASE_MS,
} from '../../../../test/support/behind-world.ts';
import { given } from '../../../../test/support/journal-world.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { defineStore, primitivesOf, StrataError } from '../../../store/index.ts';
import type { TieredEvent } from '../events.ts';
import { tiered } from '../index.ts';
import type { TieredOptions } from '../options.ts';

type Options = Partial<TieredOptions<unknown>>;

describe('what the back refuses for good', () => {
  it('is a dead letter, and the others of its window go on together', async () => {
    const { store, give, back, events } = await begin();
    await back.set('fixed', 'theirs', { immutable: true });
    await give(
      store.setMany([
        ['a', 1],
        ['fixed', 'ours'],
        ['b', 2],
      ]),
    );
    await give(store.flush());
    expect(store.pending()).toMatchObject({ keys: 0, deadLetters: 1 });
    expect(events.find(({ type }) => type === 'dead-letter')).toMatchObject({ key: 'fixed' });
    const letters = await give(store.deadLetters());
    expect(letters).toMatchObject([
      { type: 'set', key: 'fixed', value: 'ours', cause: { code: 'conflict' } },
    ]);
    expect(await give(store.get('fixed'))).toBe('theirs');
    expect([...(await back.getMany(['a', 'b', 'fixed']))]).toEqual([
      ['a', 1],
      ['b', 2],
      ['fixed', 'theirs'],
    ]);
    await give(store.forgetDeadLetters(letters.map(({ id }) => id)));
    expect(await give(store.deadLetters())).toEqual([]);
    expect(store.pending().deadLetters).toBe(0);
  });

  it('is no dead letter where it is the very value that stands there', async () => {
    const { store, give, back } = await begin();
    await back.set('fixed', 'same', { immutable: true });
    await give(store.set('fixed', 'same', { immutable: true }));
    await give(store.flush());
    expect(store.pending()).toMatchObject({ keys: 0, deadLetters: 0 });
  });

  it('is found by dividing the window when the back does not name it', async () => {
    const world = new BehindWorld();
    const inner = primitivesOf(world.back);
    let commits = 0;
    const picky = defineStore({
      ...inner,
      commit: (writes, call) => {
        commits++;
        if (writes.some(({ key }) => key === 'k3'))
          throw new StrataError('invalid-argument', 'commit: no', { operation: 'commit' });
        return inner.commit(writes, call);
      },
    });
    const events: TieredEvent[] = [];
    const store = tiered({
      front: memory({ env: world.env }),
      back: picky,
      write: 'behind',
      journal: world.journal,
      onEvent: (event) => events.push(event),
      env: world.env,
    });
    const give = <T>(promise: Promise<T>): Promise<T> => given(world.env, promise);
    await give(store.setMany(Array.from({ length: 8 }, (_, n) => [`k${n}`, n] as const)));
    await give(store.flush());
    expect(await keysOf(world.back)).toEqual(['k0', 'k1', 'k2', 'k4', 'k5', 'k6', 'k7']);
    expect(store.pending()).toMatchObject({ keys: 0, deadLetters: 1 });
    expect(kindsOf(events)).toContain('dead-letter');
    expect(commits).toBeLessThan(16);
  });
});

describe('changes of others', () => {
  it('are overwritten by default', async () => {
    const { store, give, back, stall, plans } = await begin();
    await give(store.set('k', 1));
    await give(store.flush());
    stall();
    await give(store.set('k', 2));
    await back.set('k', 'theirs');
    plans.back.heal();
    await give(store.flush());
    expect(await back.get('k')).toBe(2);
  });

  it.each([
    ['keep-back' as const, 'theirs', 'back'],
    [
      ({ pending, back }: { pending: unknown; back: unknown }) => {
        const value = (one: unknown): unknown => (one as { value: unknown } | undefined)?.value;
        return `${value(pending)} and ${value(back)}`;
      },
      '2 and theirs',
      'merged',
    ],
  ])('count as the policy says (%#)', async (onConflict, expected, kept) => {
    const { store, give, back, stall, plans, events } = await begin({ onConflict } as Options);
    await give(
      store.setMany([
        ['k', 1],
        ['l', 1],
      ]),
    );
    await give(store.flush());
    const steps = store.watch()[Symbol.asyncIterator]();
    const held = new Map<string, unknown>([
      ['k', 1],
      ['l', 1],
    ]);
    stall();
    await give(store.set('k', 2));
    await give(store.set('l', 2));
    await back.set('k', 'theirs');
    plans.back.heal();
    await give(store.flush());
    expect(events).toContainEqual({ type: 'back-conflict', key: 'k', kept });
    expect(await back.get('k')).toBe(expected);
    expect(await give(store.get('k'))).toBe(expected);
    expect(await back.get('l')).toBe(2);
    // Who follows the feed arrives at the same.
    const head = await store.cursor();
    for (let cursor = ''; cursor !== head; ) {
      const { value: commit } = await give(steps.next());
      cursor = commit?.cursor ?? '';
      for (const write of commit?.writes ?? [])
        held.set(write.key, write.type === 'set' ? write.value : undefined);
    }
    expect(Object.fromEntries(held)).toEqual({ k: expected, l: 2 });
    await steps.return?.();
  });

  it('are no conflict where they are its own, also after a restart', async () => {
    const { world, store, give, kill, env, stall, plans } = await begin({
      onConflict: 'keep-back',
    });
    await give(store.set('k', 1));
    plans.back.failNext('commit', 'unknown-outcome', { applied: true });
    stall();
    await give(store.set('k', 2));
    await give(store.set('k', 3));
    kill();
    const next = world.start();
    await env.advance(LEASE_MS * 2);
    await give(next.store.flush());
    expect(await world.back.get('k')).toBe(3);
    expect(kindsOf(next.events)).not.toContain('back-conflict');
  });

  it('are no conflict where its own write gets there while the journal takes the next', async () => {
    for (const own of [true, false]) {
      const { store, give, back, env, plans } = await begin({ onConflict: 'keep-back' });
      await back.set('k', 'theirs');
      plans.back.hangNext('commit', { applied: true });
      await give(store.delete('k'));
      await env.advance(0);
      plans.journal.hangNext('commit');
      const setting = store.set('k', 2);
      await env.advance(0);
      plans.back.release();
      await env.advance(0);
      if (!own) await back.set('k', 'theirs again');
      plans.journal.release();
      await give(setting);
      await give(store.flush());
      expect(await back.get('k')).toBe(own ? 2 : 'theirs again');
    }
  });

  it('are merged although there is no room for a write, and while the store closes', async () => {
    const onConflict = () => 'merged';
    for (const closes of [true, false]) {
      const options = { onConflict, maxPending: { keys: 1 } };
      const { store, give, back, stall, plans } = await begin(options);
      stall();
      await give(store.set('k', 1, { immutable: true }));
      await back.set('k', 'theirs', { meta: { by: 'them' } });
      const waiting = store.set('l', 1, { timeoutMs: 60_000 }).catch((error) => error.code);
      plans.back.heal();
      if (closes) await give(store.close({ drainMs: 5_000 }));
      else await give(store.flush());
      expect(await back.get('k')).toBe('merged');
      expect(await give(waiting)).toEqual(
        closes ? 'closed' : expect.objectContaining({ key: 'l' }),
      );
    }
  });

  it('are read where they count, although the front keeps what it had', async () => {
    const { store, give, back, stall, plans } = await begin({ onConflict: 'keep-back' });
    await give(store.set('k', 1));
    await give(store.flush());
    stall();
    await give(store.set('k', 2));
    await back.set('k', 'theirs');
    plans.back.heal();
    plans.front.failNext('commit', 'unavailable', { times: 20 });
    await give(store.flush());
    expect(await give(store.get('k'))).toBe('theirs');
  });
});
