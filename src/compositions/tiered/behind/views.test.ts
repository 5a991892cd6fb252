/** What a store that is written behind shows and takes, by its feed, its blocking view, and over a plain back. */
import { describe, expect, it } from 'vitest';
import { begin } from '../../../../test/support/behind-world.ts';
import { given } from '../../../../test/support/journal-world.ts';
import { codeOf } from '../../../../test/support/tiered-world.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { defineStore, json, primitivesOf } from '../../../store/index.ts';
import { channelPair, publish, subscribe } from '../../../sync/index.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../../testing/index.ts';
import { tiered } from '../index.ts';

describe('the feed', () => {
  it('goes on from the head across a restart, and says so where it cannot', async () => {
    const { world, store, give, stall, env } = await begin();
    await give(store.set('a', 1));
    const early = await store.cursor();
    await give(store.set('b', 1));
    await give(store.flush());
    stall();
    await give(store.set('c', 1));
    const head = await store.cursor();
    await give(store.close({ drainMs: 0 }));
    const next = world.start();
    await given(env, next.store.set('d', 1));
    const steps = next.store.watch({ after: head })[Symbol.asyncIterator]();
    const { value } = await given(env, steps.next());
    expect(value?.writes.map(({ key }: { key: string }) => key)).toEqual(['d']);
    await steps.return?.();
    const late = next.store.watch({ after: early })[Symbol.asyncIterator]();
    expect(await codeOf(given(env, late.next()))).toBe('cursor-expired');
  });

  it('begins with what others wrote into the back, too', async () => {
    const { store, give, back } = await begin();
    await back.set('theirs', 1);
    const steps = store.watch({ after: 'start' })[Symbol.asyncIterator]();
    const { value: first } = await give(steps.next());
    expect(first).toMatchObject({ from: 0, to: 1, writes: [{ key: 'theirs', rev: 1 }] });
    await give(store.set('ours', 2));
    const { value: second } = await give(steps.next());
    expect(second).toMatchObject({ from: 1, writes: [{ key: 'ours', value: 2 }] });
    await steps.return?.();
  });
});

describe('replication', () => {
  it('follows such a store as any other, and one can be its copy', async () => {
    const env = simulatedEnv();
    const make = () =>
      tiered<unknown>({
        front: memory<unknown>({ env }),
        back: memory<unknown>({ env }),
        write: 'behind',
        journal: 'volatile',
        env,
      });
    const [source, copy] = [make(), make()];
    await source.setMany([
      ['a', 1],
      ['b', 1],
    ]);
    const [near, far] = channelPair();
    publish(source, { codec: json(), env }).accept(near);
    const subscription = subscribe(far, copy, { codec: json(), env });
    await given(env, subscription.ready);
    await given(env, source.delete('a'));
    await given(env, source.set('b', 2));
    await given(env, Promise.all([source.flush(), copy.flush()]));
    await env.advance(100);
    const listed = await given(env, Array.fromAsync(copy.list()));
    expect(listed.map(({ key, value }) => [key, value])).toEqual([['b', 2]]);
    const { version, rev } = (await given(env, source.getEntry('b'))) ?? {};
    expect(listed[0]?.origin).toMatchObject({ version, rev });
    await given(env, copy.flush());
    expect((await given(env, copy.getEntry('b', { fresh: true })))?.origin).toEqual(
      listed[0]?.origin,
    );
    await subscription.close();
  });
});

describe('a back without atomic batches', () => {
  it('gets the writes one by one, in order', async () => {
    const env = simulatedEnv();
    const inner = primitivesOf(memory<unknown>({ env }));
    const taken: string[] = [];
    const back = defineStore({
      ...inner,
      capabilities: Object.freeze({ ...inner.capabilities, atomic: 'key' as const }),
      commit: (writes, call) => {
        taken.push(writes.map(({ key }) => key).join());
        return inner.commit(writes, call);
      },
    });
    const store = tiered({
      front: memory<unknown>({ env }),
      back,
      write: 'behind',
      journal: 'volatile',
      env,
    });
    await given(
      env,
      store.setMany([
        ['b', 1],
        ['a', 1],
      ]),
    );
    await given(env, store.set('c', 1));
    await given(env, store.flush());
    expect(taken).toEqual(['b', 'a', 'c']);
    expect(store.capabilities).toMatchObject({ atomic: 'batch', durability: 'memory' });
  });
});

describe('the blocking view', () => {
  it('refuses where it would have to wait', async () => {
    const env = simulatedEnv();
    const store = tiered({
      front: memory<unknown>({ env }),
      back: faulty(memory<unknown>({ env }), new FaultPlan()),
      write: 'behind',
      journal: 'volatile',
      maxPending: { keys: 1 },
      env,
    });
    expect(() => store.blocking.set('a', 1)).toThrow(
      expect.objectContaining({ code: 'unavailable' }),
    );
    await store.has('a');
    store.blocking.set('a', 1);
    expect(() => store.blocking.set('b', 1)).toThrow(
      expect.objectContaining({ code: 'overloaded' }),
    );
    expect([...store.blocking.keys()]).toEqual(['a']);
  });
});
