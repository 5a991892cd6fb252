/** Faults that caches in front of a store are known for: none of them may happen here. */
import { describe, expect, it } from 'vitest';
import { tieredWorld as world } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { StoreWithBlocking } from '../../store/store.ts';
import { settled } from '../../testing/settled.ts';
import { tiered } from './index.ts';

describe('A1, A2: what is written is the whole value, made once from the truth', () => {
  it('A1: a nested change of a cold key keeps the rest of the value, in both parts', async () => {
    const { store, inBack, inFront } = world();
    await inBack.set('user', { name: 'Ada', address: { city: 'London', zip: 'N1' } });
    await store.update('user', (old) => {
      const user = old as { address: { city: string } };
      return { ...user, address: { ...user.address, city: 'Paris' } };
    });
    const whole = { name: 'Ada', address: { city: 'Paris', zip: 'N1' } };
    expect(await inBack.get('user')).toEqual(whole);
    expect(await store.get('user')).toEqual(whole);
    expect(await inFront.get('user')).toEqual(whole);
  });

  it('A2: an update runs once, on the value of the back, and both parts end the same', async () => {
    const { store, inBack, inFront } = world();
    await inBack.set('n', 5);
    const seen: unknown[] = [];
    await store.update('n', (n) => {
      seen.push(n);
      return (n as number) + 1;
    });
    expect(seen).toEqual([5]);
    expect([await inBack.get('n'), await inFront.get('n'), await store.get('n')]).toEqual([
      6, 6, 6,
    ]);
  });

  it('A2: an update starts from the back also when the front holds something older', async () => {
    const { store, inBack } = world();
    await store.set('n', 1);
    await inBack.set('n', 10);
    const seen: unknown[] = [];
    await store.update('n', (n) => {
      seen.push(n);
      return (n as number) + 1;
    });
    expect(seen).toEqual([10]);
    expect(await store.get('n')).toBe(11);
  });

  it('A2: updates from the blocking view reach the back, whatever the front holds', () => {
    const { store, inBack } = world();
    store.blocking.set('n', 1);
    inBack.blocking.set('n', 10);
    store.blocking.update('n', (n) => (n as number) + 1);
    expect(inBack.blocking.get('n')).toBe(11);
    expect(store.blocking.get('n')).toBe(11);
  });
});

describe('A3: a populate never overwrites or resurrects anything newer', () => {
  const writes: Record<string, (store: StoreWithBlocking<unknown>) => Promise<unknown>> = {
    'a set': (store) => store.set('k', 'new'),
    'a delete': (store) => store.delete('k'),
    'a set and a delete': async (store) => [await store.set('k', 'new'), await store.delete('k')],
    'a delete and a set': async (store) => [await store.delete('k'), await store.set('k', 'new')],
    'a batch': (store) => store.batch([{ type: 'set', key: 'k', value: 'new' }]),
    'a clear': (store) => store.clear(),
    'an update': (store) => store.update('k', () => 'new'),
    'a blocking set': async (store) => store.blocking.set('k', 'new'),
    'a blocking delete': async (store) => store.blocking.delete('k'),
  };
  for (const [name, write] of Object.entries(writes)) {
    for (const many of [false, true]) {
      it(`${name} during the read of the back${many ? ' of many keys' : ''} stands`, async () => {
        const { store, inBack, inFront, backPlan } = world();
        await inBack.set('k', 'old');
        // The old value is read, and its answer is late.
        backPlan.hangNext('read', { applied: true });
        const late = many ? store.getMany(['k', 'other']) : store.get('k');
        await settled();
        await write(store);
        const truth = await inBack.get('k');
        backPlan.release();
        await late;
        await settled();
        expect(await inFront.get('k')).toEqual(truth);
        expect(await store.get('k')).toEqual(truth);
        expect(store.blocking.get('k')).toEqual(truth);
      });
    }
  }

  it('nor does one whose own write of the front is late', async () => {
    const { store, inBack, inFront, frontPlan } = world();
    await inBack.set('k', 'old');
    frontPlan.hangNext('commit');
    expect(await store.get('k')).toBe('old');
    const writing = store.set('k', 'new');
    await settled();
    expect(await inBack.get('k')).toBe('new');
    expect(await store.get('k')).toBe('new');
    frontPlan.release();
    await writing;
    await settled();
    expect([await inFront.get('k'), await store.get('k')]).toEqual(['new', 'new']);
  });

  it('nor does one that began before another one', async () => {
    const { store, inBack, backPlan } = world();
    await inBack.set('k', 'old');
    backPlan.hangNext('read', { applied: true });
    const late = store.get('k');
    await settled();
    // Somebody else writes, and a blocking read meets that.
    await inBack.set('k', 'new');
    expect(store.blocking.get('k')).toBe('new');
    backPlan.release();
    await late;
    await settled();
    expect(await store.get('k')).toBe('new');
  });

  it('a read that joins after a write sees that write', async () => {
    const { store, inBack, backPlan } = world();
    await inBack.set('k', 'old');
    backPlan.hangNext('read', { applied: true });
    const first = store.get('k');
    await settled();
    await store.set('k', 'new');
    await store.delete('k');
    expect(await store.get('k')).toBeUndefined();
    backPlan.release();
    await first;
    expect(await store.get('k')).toBeUndefined();
  });

  it('writes of one key at once leave in the front what they leave in the back', async () => {
    const { store, inBack, backPlan } = world();
    // The first is applied at once and answered last.
    backPlan.hangNext('commit', { applied: true });
    const first = store.set('k', 1);
    await settled();
    await store.set('k', 2);
    backPlan.release();
    await first;
    expect(await inBack.get('k')).toBe(2);
    expect(await store.get('k')).toBe(2);
  });
});

describe('A5: a key whose copy could not be updated is not served from the front', () => {
  it('after a set that the front refuses, the new value is read, until the front has it', async () => {
    const { store, inFront, frontPlan } = world();
    await store.set('k', 'old');
    frontPlan.failNext('commit', 'unavailable', { times: 2 });
    await store.set('k', 'new');
    expect(await inFront.get('k')).toBe('old');
    frontPlan.failNext('commit', 'unavailable', { times: 2 });
    expect(await store.get('k')).toBe('new');
    await settled();
    expect(await inFront.get('k')).toBe('old');
    expect(await store.get('k')).toBe('new');
    expect(await inFront.get('k')).toBe('new');
  });

  it('the same for a delete', async () => {
    const { store, inFront, frontPlan } = world();
    await store.set('k', 'old');
    frontPlan.failNext('commit', 'unavailable', { times: 2 });
    expect(await store.delete('k')).toBe(true);
    expect(await inFront.get('k')).toBe('old');
    expect(await store.get('k')).toBeUndefined();
    expect(store.blocking.get('k')).toBeUndefined();
    expect(await inFront.get('k')).toBeUndefined();
  });

  it('a front that hangs in a set costs a bounded wait, and a late write of it does no harm', async () => {
    const { env, store, inFront, frontPlan } = world({ frontTimeoutMs: 100 });
    await store.set('k', 'old');
    frontPlan.hangNext('commit', { applied: true });
    const writing = store.set('k', 'mid');
    await env.advance(100);
    await writing;
    const again = store.set('k', 'new');
    await env.advance(100);
    await again;
    expect(await store.get('k')).toBe('new');
    frontPlan.release();
    await settled();
    expect(await store.get('k')).toBe('new');
    await settled();
    expect(await inFront.get('k')).toBe('new');
  });

  it('a value that the front does not take is served from the back', async () => {
    const { env, inBack } = world();
    const front = tiny();
    const store = tiered<unknown>({ front, back: inBack });
    await store.set('k', 'small');
    await store.set('k', 'much too large');
    expect(await store.get('k')).toBe('much too large');
    expect(await front.get('k')).toBeUndefined();
    await env.advance(0);
  });
});

describe('A6: write around', () => {
  it('a read after the write sees it', async () => {
    const { store, inFront } = world({ write: 'around' });
    await store.set('k', 1);
    expect(await store.get('k')).toBe(1);
    expect(await inFront.get('k')).toBe(1);
    await store.set('k', 2);
    expect(await inFront.get('k')).toBeUndefined();
    expect(await store.get('k')).toBe(2);
    await store.delete('k');
    expect(await store.get('k')).toBeUndefined();
  });
});

describe('A7: a tiered store is replicated from like any other', () => {
  it('gives the feed of the back, and reads after a commit give at least that commit', async () => {
    const { store } = world();
    const commits = store.watch()[Symbol.asyncIterator]();
    const next = commits.next();
    void store.set('k', 1);
    const commit = (await next).value;
    expect(commit.writes).toMatchObject([{ type: 'set', key: 'k', value: 1 }]);
    expect((await store.getEntry('k'))?.version).toBe(commit.writes[0].version);
    await commits.return?.();
  });
});

describe('A9: a front that fails is a miss', () => {
  it('when it throws, for every read', async () => {
    const { store, inBack, frontPlan } = world();
    await inBack.set('k', 1);
    for (const read of [
      () => store.get('k'),
      async () => (await store.getEntry('k'))?.value,
      async () => (await store.getMany(['k'])).get('k'),
      async () => Number(await store.has('k')),
      async () => (await store.hasMany(['k'])).size,
      async () => store.blocking.get('k'),
      async () => store.blocking.getMany(['k']).get('k'),
    ]) {
      frontPlan.heal();
      frontPlan.failNext('read', 'corrupt', { times: 5 });
      frontPlan.failNext('commit', 'no-space', { times: 5 });
      expect(await read()).toBe(1);
    }
  });

  it('when it hangs, after a bounded wait', async () => {
    const { env, store, inBack, frontPlan } = world({ frontTimeoutMs: 100 });
    await inBack.set('k', 1);
    frontPlan.hangNext('read', { times: 2 });
    const read = store.get('k');
    const many = store.getMany(['k']);
    await env.advance(100);
    expect(await read).toBe(1);
    expect((await many).get('k')).toBe(1);
  });

  it('tells of it', async () => {
    const told: string[] = [];
    const { store, frontPlan } = world({
      onFrontError: (error) => told.push((error as { code: string }).code),
    });
    frontPlan.failNext('read', 'corrupt');
    await store.get('k');
    expect(told).toEqual(['corrupt']);
  });
});

describe('A10: null, false, 0 and the empty string are values', () => {
  for (const value of [null, false, 0, '']) {
    it(`${JSON.stringify(value)} is read from the back once and then from the front`, async () => {
      const { store, inBack, backPlan } = world();
      await inBack.set('k', value);
      expect(await store.get('k')).toBe(value);
      expect(await store.get('k')).toBe(value);
      expect(await store.has('k')).toBe(true);
      expect(store.blocking.get('k')).toBe(value);
      expect(backPlan.calls('read')).toBe(1);
    });
  }

  for (const [copyingFront, copyingBack] of [
    [true, true],
    [false, true],
    [true, false],
  ])
    it(`values are copies in the ${copyingFront ? '' : 'sharing '}front and the ${copyingBack ? '' : 'sharing '}back`, async () => {
      type N = { n: number };
      const back = memory<N>({ zeroCopy: copyingBack !== true });
      const front = memory<N>({ zeroCopy: copyingFront !== true });
      const store = tiered({ front, back });
      const given = { n: 1 };
      await store.set('k', given);
      given.n = 2;
      if (copyingBack) expect(await back.get('k')).toEqual({ n: 1 });
      if (copyingFront) expect(await store.get('k')).toEqual({ n: 1 });
      await back.set('cold', { n: 1 });
      const first = store.watch({ after: 'start' })[Symbol.asyncIterator]();
      const handedOut = [
        await store.get('cold'),
        store.blocking.get('cold'),
        (await store.getMany(['cold'])).get('cold'),
        (await Array.fromAsync(store.list({ prefix: 'cold' })))[0]?.value,
        [...store.blocking.list({ prefix: 'cold' })][0]?.value,
        (await first.next()).value.writes.at(-1).value,
      ];
      await first.return?.();
      for (const value of handedOut) (value as N).n = 3;
      if (copyingBack) expect(await back.get('cold')).toEqual({ n: 1 });
      if (copyingFront) expect(await store.get('cold')).toEqual({ n: 1 });
    });
});

/** A memory store that takes no value longer than ten characters. */
function tiny(): StoreWithBlocking<unknown> {
  const store = memory();
  const primitives = primitivesOf(store) as unknown as { commit: (...args: never[]) => unknown };
  const { commit } = primitives;
  primitives.commit = (...args) => {
    for (const write of args[0] as unknown as { value?: unknown }[])
      if (String(write.value ?? '').length > 10) throw new RangeError('too large');
    return commit(...args);
  };
  return store;
}
