import { describe, expect, it } from 'vitest';
import { Line } from '../../test/support/sync-world.ts';
import {
  codec,
  type Page,
  page,
  pages,
  reachable,
  revOf,
  stateOf,
  walked,
  walkedWorld,
  walker,
} from '../../test/support/walked-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { defineStore } from '../store/define-store.ts';
import { primitivesOf } from '../store/internals.ts';
import type { BatchWrite } from '../store/operations.ts';
import type { Store } from '../store/store.ts';
import { fromKeySet, sweep } from '../walk/index.ts';
import { publish, type Subscription, subscribe } from './index.ts';

/** What a subscription hears, since it was last asked. */
function hearing(subscription: Subscription<Page>): () => string[] {
  const heard: string[] = [];
  subscription.onChange('', ({ key, deleted }) => heard.push(deleted ? `${key}!` : key));
  return () => heard.splice(0);
}

describe('what a walk reaches', () => {
  it('is what is sent: dependencies first, the root last, and what it moves to as well', async () => {
    const { world, store, local } = walkedWorld();
    await store.setMany([
      ['head', page(1, 'a', 'b')],
      ['old', page(2, 'older')],
      ['older', page(3)],
      ['a', page(4, 'c')],
      ['b', page(5, 'c')],
      ['c', page(6)],
    ]);
    const line = new Line(walked(store));
    const subscription = subscribe(line, local, { codec });
    const heard = hearing(subscription);
    await world.advance(5);
    expect(heard()).toEqual(['c', 'a', 'b', 'head']);
    await store.set('unseen', page(7));
    await world.advance(5);
    expect(heard()).toEqual([]);
    expect(subscription.status()).toMatchObject({ lag: 0, state: 'live' });
    // Old leaves come with the root that points to them, and nothing that is there already.
    await store.set('head', page(8, 'b', 'old'));
    await world.advance(5);
    expect(heard()).toEqual(['older', 'old', 'head']);
    await store.set('c', page(9));
    await store.set('a', page(10));
    await world.advance(5);
    expect(heard()).toEqual(['c']);
    // What is no longer reachable stays, deleted or not.
    await store.delete('a');
    await world.advance(5);
    expect(heard()).toEqual([]);
    expect(await pages(local)).toEqual({ head: 8, a: 4, b: 5, c: 9, old: 2, older: 3 });
    await subscription.close();
    await store.set('new', page(11));
    await store.set('head', page(12, 'new', 'b'));
    const second = subscribe(line, local, { codec });
    const later = hearing(second);
    await world.advance(5);
    expect(second.status()).toMatchObject({ resumes: 1, snapshots: 0, lag: 0 });
    expect(later()).toEqual(['new', 'head']);
    await second.close();
  });

  it('may be swept at the subscriber, and comes again when it is needed again', async () => {
    const { world, store, local } = walkedWorld();
    await store.setMany([
      ['leaf', page(1)],
      ['tree', page(2, 'leaf')],
      ['other', page(3)],
      ['head', page(4, 'tree')],
    ]);
    const subscription = subscribe(new Line(walked(store)), local, { codec });
    await world.advance(5);
    await local.set('mine', page(0));
    await store.set('head', page(5, 'other'));
    await world.advance(5);
    expect(await pages(local)).toEqual({ head: 5, leaf: 1, tree: 2, other: 3, mine: 0 });
    const swept = sweep(local, ['head', 'mine'], walker, { olderThan: await local.cursor() });
    await world.advance(5);
    expect(await swept).toMatchObject({ swept: 2 });
    expect(await pages(local)).toEqual({ head: 5, other: 3, mine: 0 });
    // Never changed at the source, and needed again.
    await store.set('head', page(6, 'tree'));
    await world.advance(5);
    expect(await pages(local)).toEqual({ head: 6, leaf: 1, tree: 2, other: 3, mine: 0 });
    await subscription.close();
  });

  it('follows roots that come, go, and are named by a function', async () => {
    const { world, store, local } = walkedWorld();
    let roots = ['one'];
    await store.set('a', page(1));
    await store.set('two', page(2, 'a'));
    const subscription = subscribe(new Line(walked(store, () => roots)), local, { codec });
    const heard = hearing(subscription);
    await world.advance(5);
    await subscription.ready;
    expect(heard()).toEqual([]);
    await store.set('one', page(3));
    await world.advance(5);
    expect(heard()).toEqual(['one']);
    roots = ['one', 'two'];
    await store.set('b', page(4));
    await world.advance(5);
    expect(heard()).toEqual(['a', 'two']);
    await store.delete('one');
    await world.advance(5);
    expect(heard()).toEqual(['one!']);
    await store.set('one', page(5, 'two', 'b'));
    await store.set('two', page(6, 'a'));
    await world.advance(5);
    // A root that another points to goes before it.
    expect(heard()).toEqual(['b', 'two', 'one']);
    await subscription.close();
  });

  it('is bounded by what filter, where and rights let through', async () => {
    const { world, store, local } = walkedWorld();
    await store.setMany([
      ['below', page(1)],
      ['secret', page(2, 'below')],
      ['drafts', page(-3, 'below')],
      ['x/1', page(4)],
      ['public', page(5, 'x/1')],
      ['head', page(6, 'secret', 'drafts', 'public')],
    ]);
    const publication = walked(store, ['head'], {
      filter: (key) => key !== 'secret',
      where: ({ value }) => value.n > 0,
    });
    const subscription = subscribe(new Line(publication), local, { codec });
    const narrow = memory<Page>({ env: world });
    const second = subscribe(new Line(publication), narrow, { codec, prefix: 'x/' });
    await world.advance(5);
    expect(await pages(local)).toEqual({ head: 6, public: 5, 'x/1': 4 });
    expect(await pages(narrow)).toEqual({ 'x/1': 4 });
    await store.set('drafts', page(7, 'below'));
    await store.set('public', page(-8, 'x/1'));
    await world.advance(5);
    expect(await pages(local)).toEqual({ head: 6, drafts: 7, below: 1, 'x/1': 4 });
    await store.set('head', page(-9, 'drafts'));
    await world.advance(5);
    expect(await pages(local)).toEqual({ drafts: 7, below: 1, 'x/1': 4 });
    await subscription.close();
    await second.close();
  });

  it('is found by a walker that gives all keys at once, and by one that takes its time', async () => {
    const { world, store, local } = walkedWorld();
    await store.setMany([
      ['a', page(1, 'ignored')],
      ['b', page(2)],
      ['head', page(3, 'b', 'a')],
    ]);
    const late = fromKeySet<Page>(async ({ links }) => {
      await new Promise<void>((resolve) => world.setTimer(resolve, 10));
      return links;
    });
    const publication = publish(store, { codec, walk: { roots: ['head'], walker: late } });
    const subscription = subscribe(new Line(publication), local, { codec });
    const heard = hearing(subscription);
    await world.advance(50);
    expect(heard()).toEqual(['b', 'a', 'head']);
    await subscription.close();
  });
});

describe('a copy that comes from another server of the same store', () => {
  it('resumes only where this one has looked: what it has now, the copy may have lost', async () => {
    const { world, store, local } = walkedWorld();
    await store.setMany([
      ['leaf', page(1)],
      ['other', page(2)],
      ['head', page(3, 'leaf')],
    ]);
    const [one, two] = [new Line(walked(store)), new Line(walked(store))];
    const follow = async (line: Line, copy: Store<Page>): Promise<Subscription<Page>> => {
      const subscription = subscribe(line, copy, { codec });
      await world.advance(5);
      await subscription.ready;
      return subscription;
    };
    const mine = memory<Page>({ env: world });
    await (await follow(one, mine)).close();
    await store.set('head', page(4, 'other'));
    await (await follow(two, local)).close();
    expect(await pages(local)).toEqual({ head: 4, other: 2 });
    await store.set('head', page(5, 'leaf'));
    const first = await follow(one, mine);
    expect(first.status()).toMatchObject({ resumes: 1, snapshots: 0 });
    // For the first server the leaf was there all the time.
    const second = await follow(one, local);
    expect(second.status()).toMatchObject({ resumes: 0, snapshots: 1 });
    expect(await pages(local)).toEqual({ head: 5, leaf: 1 });
    await first.close();
    await second.close();
  });
});

describe('a copy that comes back to a server that was restarted', () => {
  it('is compared: what differs is sent, and what is not reached goes', async () => {
    const { world, store, local } = walkedWorld();
    const leaves = Array.from({ length: 500 }, (_, n) => `leaf ${n}`);
    await store.setMany(leaves.map((key, n) => [key, page(n)]));
    await store.setMany(leaves.map((key, n) => [`not ${key}`, page(n)]));
    await store.set('head', page(1, ...leaves.slice(0, 400)));
    const limits = { comparedKeys: 0 };
    const sync = async (): Promise<Subscription<Page>> => {
      const line = new Line(walked(store, ['head'], { limits }));
      const subscription = subscribe(line, local, { codec });
      await world.advance(20);
      await subscription.ready;
      return subscription;
    };
    await (await sync()).close();
    await local.set('mine', page(0));
    await store.set('head', page(2, ...leaves.slice(20, 420)));
    await store.set('leaf 50', page(77));
    await local.delete('leaf 60');
    await store.delete('leaf 0');
    const second = await sync();
    const { receivedBytes } = second.status();
    expect(second.status()).toMatchObject({ resumes: 0, snapshots: 0, reconciles: 1, lag: 0 });
    const { found } = reachable(await stateOf(store), ['head']);
    expect(await pages(local)).toEqual({ ...found, mine: 0 });
    expect(receivedBytes).toBeLessThan(30_000);
    await store.set('head', page(3, 'leaf 450'));
    await world.advance(5);
    expect(await pages(local)).toMatchObject({ head: 3, 'leaf 450': 450 });
    await second.close();
  });
});

/** A store that does something when so many keys were read by `readMany`, before or after the last of these readings. */
function interrupted(
  inner: Store<Page>,
  { reads, when }: { readonly reads: number; readonly when: 'before' | 'after' },
  work: () => Promise<unknown>,
): Store<Page> {
  const inside = primitivesOf(inner);
  let left = reads;
  return defineStore<Page>({
    ...inside,
    async readMany(keys, call) {
      const isDue = left > 0 && left <= keys.length;
      left -= keys.length;
      if (isDue && when === 'before') await work();
      const found = await inside.readMany(keys, call);
      if (isDue && when === 'after') await work();
      return found;
    },
  });
}

describe('the sums that copies of a walk are compared with', () => {
  it('are told of what is reached anew, changed or not', async () => {
    const { world, store, local } = walkedWorld();
    const leaves = Array.from({ length: 500 }, (_, n) => `leaf ${n}`);
    await store.setMany(leaves.map((key, n) => [key, page(n)]));
    const limits = { comparedKeys: 0 };
    const [one, two] = [0, 1].map(() => new Line(walked(store, ['head'], { limits })));
    const sync = async (line: Line | undefined): Promise<number> => {
      const subscription = subscribe(line as Line, local, { codec });
      await world.advance(20);
      await subscription.ready;
      const { found } = reachable(await stateOf(store), ['head']);
      expect(await pages(local)).toMatchObject(found);
      await subscription.close();
      return subscription.status().reconciles;
    };
    // Each change is seen by one server, so that the other has to compare.
    let n = 0;
    const move = (...left: number[]): Promise<unknown> =>
      store.set('head', page(n++, ...leaves.filter((_, at) => !left.includes(at))));
    await move();
    await sync(one);
    await move(7, 400);
    expect(await sync(two)).toBe(1);
    await local.deleteMany(['leaf 7', 'leaf 400']);
    await move(7);
    expect(await sync(one)).toBe(1);
    await move(8);
    expect(await sync(two)).toBe(1);
    await local.delete('leaf 8');
    await move();
    expect(await sync(one)).toBe(1);
  });
});

describe('a root that moves while it is walked', () => {
  const moments = [1, 2, 3, 4, 5, 6, 7].flatMap((reads) =>
    (['before', 'after'] as const).map((when) => ({ reads, when })),
  );
  it.each(moments)('never brings a state that never was, $when $reads reads', async (moment) => {
    const { world, store, local } = walkedWorld();
    const history = new Map<number, object>();
    const commit = async (...writes: BatchWrite<Page>[]): Promise<void> => {
      const { rev } = await store.batch(writes);
      history.set(rev ?? 0, reachable(await stateOf(store), ['head']).found);
    };
    const set = (key: string, value: Page): BatchWrite<Page> => ({ type: 'set', key, value });
    await commit(set('c', page(1)), set('b', page(2, 'c')), set('a', page(3, 'b')));
    await commit(set('z', page(4)), set('y', page(5, 'z')), set('head', page(6, 'a')));
    const source = interrupted(store, moment, async () => {
      // As a collector of garbage does: what is no longer needed goes at once.
      await commit(set('head', page(7, 'y')));
      await commit(...['a', 'b', 'c'].map((key) => ({ type: 'delete' as const, key })));
      await commit(set('c', page(8)));
      await commit(set('head', page(9, 'y')));
    });
    const seen: object[] = [];
    const inside = primitivesOf(local);
    const checked = defineStore<Page>({
      ...inside,
      async commit(writes, call) {
        const outcome = await inside.commit(writes, call);
        const state = new Map([...local.blocking.list()].map(({ key, value }) => [key, value]));
        const { found, missing } = reachable(state, ['head']);
        expect(missing).toEqual([]);
        seen.push([found, history.get(revOf(local))]);
        return outcome;
      },
    });
    const publication = walked(source, ['head'], { limits: { historyBytes: 0 } });
    const subscription = subscribe(new Line(publication), checked, { codec });
    await world.advance(50);
    expect(seen.length).toBeGreaterThan(0);
    for (const [found, wanted] of seen as [object, object][]) expect(found).toEqual(wanted);
    expect(await pages(local)).toMatchObject({ head: 9, y: 5, z: 4 });
    expect(subscription.status()).toMatchObject({ state: 'live', lag: 0, connections: 1 });
    await subscription.close();
  });
});
