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

describe('a delete that finds nothing, write behind', () => {
  for (const keepsFront of [false, true])
    it(`is not undone by a copy on its way into a front that ${keepsFront ? 'stays' : 'goes'}`, async () => {
      await loadBehind();
      const held: (() => void)[] = [];
      let holds = true;
      const world = new TieredModelWorld({
        options: { write: 'behind', read: 'front-first' },
        keepsFront,
        late: { ...PROMPT, front: true },
        wait: (step) =>
          new Promise<void>((go) => {
            if (holds && step === 'front commit set b') held.push(go);
            else go();
          }),
      });
      const { env, inBack, inFront } = world;
      inBack.blocking.set('b', 'old');
      const reading = world.store.get('b');
      await env.advance(0);
      expect(held).toHaveLength(1);
      // Somebody else was quicker.
      inBack.blocking.delete('b');
      const deleting = world.store.delete('b');
      await env.advance(0);
      holds = false;
      for (const go of held) go();
      await env.advance(1);
      expect(await reading).toBe('old');
      expect(await deleting).toBe(false);
      if (keepsFront) expect(inFront.blocking.get('b')).toBeUndefined();
      expect(await world.store.get('b')).toBeUndefined();
      await world.store.close();
    });

  it('is not undone by a copy that came after the front had been asked', async () => {
    await loadBehind();
    const held: (() => void)[] = [];
    let holds = true;
    const world = new TieredModelWorld({
      options: { write: 'behind', read: 'front-first' },
      keepsFront: false,
      late: { ...PROMPT, front: true },
      wait: (step) =>
        new Promise<void>((go) => {
          if (holds && step === 'front read b answers') held.push(go);
          else go();
        }),
    });
    const { env, inBack } = world;
    inBack.blocking.set('b', 'old');
    const reading = world.store.get('b');
    const deleting = world.store.delete('b');
    await env.advance(0);
    expect(held).toHaveLength(2);
    // The reader hears first, and its copy stands before the delete hears that there was none.
    held.shift()?.();
    holds = false;
    expect(await reading).toBe('old');
    await env.advance(0);
    inBack.blocking.delete('b');
    held.shift()?.();
    expect(await deleting).toBe(false);
    expect(await world.store.get('b')).toBeUndefined();
    await world.store.close();
  });
});

describe('a store that is closed before the copy of what it gave is stored', () => {
  it('leaves no older copy to the next one', async () => {
    const held: (() => void)[] = [];
    let holds = false;
    const world = new TieredModelWorld({
      options: { write: 'through', read: 'front-first' },
      keepsFront: true,
      late: { ...PROMPT, back: true },
      wait: (step) =>
        new Promise<void>((go) => {
          if (holds && step.includes('head')) held.push(go);
          else go();
        }),
    });
    const { env, inBack } = world;
    await world.store.set('a', 'old');
    await world.store.close();
    world.restart();
    await inBack.set('a', 'new');
    holds = true;
    expect(await world.store.get('a', { fresh: true })).toBe('new');
    expect(held).not.toHaveLength(0);
    const closing = world.store.close();
    await env.advance(10_000);
    await closing;
    world.restart();
    expect(await world.store.get('a')).toBe('new');
    await world.store.close();
  });
});

describe('a second delete, write behind', () => {
  for (const read of ['front-first', 'front-only'] as const) {
    const worldOf = (): TieredModelWorld =>
      new TieredModelWorld({
        options: { write: 'behind', read },
        keepsFront: false,
        late: PROMPT,
        wait: () => Promise.resolve(),
      });

    it(`deletes what others wrote while the first was unanswered, read ${read}`, async () => {
      await loadBehind();
      const { env, inBack, plans, store } = worldOf();
      inBack.blocking.set('c', 'old');
      await store.flush();
      plans.back.hangNext('commit', { applied: true });
      await store.delete('c');
      await env.advance(0);
      expect(inBack.blocking.get('c')).toBeUndefined();
      inBack.blocking.set('c', 'of others');
      const deleting = store.delete('c');
      await env.advance(0);
      expect(await deleting).toBe(false);
      plans.back.release();
      await env.advance(10_000);
      expect(inBack.blocking.get('c')).toBeUndefined();
    });

    it(`deletes what others wrote before a crash was recovered from, read ${read}`, async () => {
      await loadBehind();
      const world = worldOf();
      const { env, inBack } = world;
      inBack.blocking.set('c', 'old');
      await world.store.delete('c');
      await env.advance(0);
      expect(inBack.blocking.get('c')).toBeUndefined();
      world.restart();
      await env.advance(600);
      inBack.blocking.set('c', 'of others');
      const deleting = world.store.delete('c');
      await env.advance(600);
      await deleting;
      await env.advance(10_000);
      expect(inBack.blocking.get('c')).toBeUndefined();
    });

    it(`deletes what others wrote over a set that has ended, read ${read}`, async () => {
      await loadBehind();
      for (const crashes of [true, false]) {
        const world = worldOf();
        const { env, inBack, plans } = world;
        plans.back.hangNext('commit', { applied: true });
        await world.store.set('c', 'brief', { ttlMs: 100 });
        await env.advance(0);
        expect(inBack.blocking.get('c')).toBe('brief');
        if (crashes) {
          world.restart();
          // It is not known yet what the back has taken.
          plans.back.hangNext('read');
        }
        await env.advance(600);
        inBack.blocking.set('c', 'of others');
        const deleting = world.store.delete('c');
        await env.advance(600);
        expect(await deleting).toBe(false);
        plans.back.release();
        await env.advance(10_000);
        expect(inBack.blocking.get('c')).toBeUndefined();
      }
    });
  }
});
