import { describe, expect, it } from 'vitest';
import { graph, keysOf, links, type Node, torn } from '../../test/support/old-graph.ts';
import { type Capabilities, defineStore, type Store, type StoreWithBlocking } from '../index.ts';
import { primitivesOf } from '../store/index.ts';
import { FaultPlan, faulty } from '../testing/index.ts';
import { sweep, touch } from './index.ts';

describe('a sweep of a store that can do less', () => {
  /** The same store with other capabilities, and without a feed where it is to have none. */
  function lesser(
    store: StoreWithBlocking<Node>,
    capabilities: Partial<Capabilities>,
  ): Store<Node> {
    const { feed, blocking: _, ...inner } = primitivesOf(store);
    const fewer = { ...inner.capabilities, blocking: false, ...capabilities };
    return defineStore<Node>({
      ...inner,
      capabilities: fewer,
      ...(fewer.feed && feed !== undefined && { feed }),
    });
  }

  it('removes key by key where batches are not atomic', async () => {
    const { store } = await graph(torn);
    const plan = new FaultPlan().failNext('commit', 'conflict');
    const single = lesser(faulty(store, plan), { atomic: 'key' });
    const done = await sweep(single, ['root'], links, { olderThanMs: 0 });
    expect(done).toMatchObject({ swept: 2, changed: 1 });
    expect(keysOf(store)).toEqual(['a', 'b', 'c', 'root', 'x']);
  });

  it('reads roots again where there is no feed', async () => {
    const { env, store } = await graph({ root: [], x: ['y'], y: [], z: [] });
    let asked = 0;
    const roots = () => {
      if (asked++ === 1) store.blocking.set('root', ['x']);
      return ['root'];
    };
    await sweep(lesser(store, { feed: false }), roots, links, { olderThanMs: 0 });
    expect(keysOf(store)).toEqual(['root', 'x', 'y']);
    await env.advance(1);
    await expect(
      sweep(lesser(store, { feed: false }), ['root'], links, { olderThan: await store.cursor() }),
    ).rejects.toMatchObject({ code: 'cursor-expired' });
  });

  it('refuses a store without conditional deletes, except for a dry run', async () => {
    const { store } = await graph(torn);
    const blind = lesser(store, { conditional: 'set' });
    const sweeping = sweep(blind, ['root'], links, { olderThanMs: 0 });
    await expect(sweeping).rejects.toMatchObject({ code: 'unsupported' });
    await expect(touch(blind, ['a'])).rejects.toMatchObject({ code: 'unsupported' });
    const dry = await sweep(blind, ['root'], links, { olderThanMs: 0, dryRun: true });
    expect(dry).toMatchObject({ swept: 3 });
  });

  it('does not touch immutable entries where batches are not atomic', async () => {
    const { store } = await graph({ a: [] });
    await store.set('b', [], { immutable: true });
    const single = lesser(store, { atomic: 'key' });
    expect(await touch(single, ['a'])).toEqual(new Set(['a']));
    await expect(touch(single, ['b'])).rejects.toMatchObject({ code: 'unsupported', key: 'b' });
  });

  it('gives up when new roots come faster than they are read', async () => {
    const { store } = await graph({ root: [], x: [] });
    let asked = 0;
    const roots = () => {
      // Old as it is, it has to be read, and there is always one more.
      store.blocking.set(`late${asked}`, []);
      return ['root', `late${asked++}`];
    };
    const busy = lesser(store, {});
    const options = { olderThanMs: 0, onMissing: () => {} };
    const ended = await sweep(busy, roots, links, options);
    expect(ended).toMatchObject({ swept: 1 });
    asked = 0;
    const nowhere = () => ['root', `nowhere${asked++}`];
    await expect(sweep(busy, nowhere, links, options)).rejects.toMatchObject({
      code: 'overloaded',
      retryable: true,
    });
  });
});
