import type { BlockingStore } from '../../store/blocking-store.ts';
import { defined, equal, fails } from '../assert.ts';
import { type Case, type CaseContext, collect } from './case.ts';
import { Follower, sameState, stateOf } from './follower.ts';
import { blockingOf } from './methods.ts';

function view({ store }: CaseContext): BlockingStore<unknown> {
  return defined(blockingOf(store), 'a synchronous view');
}

/** The same operations, synchronous. */
export const blocking: readonly Case[] = [
  {
    name: 'reads and writes the same data as the asynchronous half',
    needs: ['blocking'],
    run: async (t) => {
      const { store, value } = t;
      const sync = view(t);
      const head = sync.set('a', value(1), { meta: { n: 1 } });
      equal(await store.getEntry('a'), { ...head, value: value(1) }, 'getEntry after a set');
      await store.set('b', value(2));
      equal(sync.get('b'), value(2), 'get');
      equal(sync.getEntry('b'), await store.getEntry('b'), 'getEntry');
      equal(sync.getMany(['b', 'no', 'a']), await store.getMany(['b', 'no', 'a']), 'getMany');
      equal(sync.getEntries(['b', 'a']), await store.getEntries(['b', 'a']), 'getEntries');
      equal(sync.has('a'), true, 'has');
      equal(sync.hasMany(['a', 'no']), new Set(['a']), 'hasMany');
      equal([...sync.list()], await collect(store.list()), 'list');
      equal([...sync.keys({ reverse: true })], ['b', 'a'], 'keys');
      equal(sync.delete('a'), true, 'delete');
      equal(sync.delete('a'), false, 'a second delete');
      equal(await store.has('a'), false, 'has after a delete');
    },
  },
  {
    name: 'writes many, in batches, and clears',
    needs: ['blocking'],
    run: async (t) => {
      const { store, value } = t;
      const sync = view(t);
      const { results } = sync.batch([
        { type: 'set', key: 'a', value: value(1) },
        { type: 'delete', key: 'a' },
        { type: 'set', key: 'b', value: value(2) },
      ]);
      equal(
        results.map(({ key, existed }) => [key, existed]),
        [
          ['a', false],
          ['a', true],
          ['b', false],
        ],
        'results',
      );
      const pairs = Array.from({ length: 30 }, (_, n) => [`k${n}`, value(n)] as const);
      equal(sync.setMany(pairs).results.length, 30, 'results of setMany');
      equal(await store.getMany(pairs.map(([key]) => key)), new Map(pairs), 'values');
      equal(sync.deleteMany(['k0', 'k1', 'none']), 2, 'deleteMany');
      equal(sync.clear({ prefix: 'k' }), 28, 'clear with a prefix');
      equal(await collect(store.keys()), ['b'], 'keys');
      equal(sync.clear(), 1, 'clear');
      equal(sync.batch([]).results, [], 'an empty batch');
    },
  },
  {
    name: 'gives every range as the asynchronous half does',
    needs: ['blocking'],
    run: async (t) => {
      const { store, value } = t;
      const sync = view(t);
      sync.setMany(Array.from({ length: 700 }, (_, n) => [`k${n % 70}:${n}`, value(n)] as const));
      for (const range of [
        {},
        { prefix: 'k6' },
        { prefix: 'k6', reverse: true, limit: 7 },
        { gt: 'k3', lte: 'k5:5' },
        { limit: 0 },
        { gte: 'k1', limit: 300 },
      ]) {
        equal(
          [...sync.keys(range)],
          await collect(store.keys(range)),
          `keys ${JSON.stringify(range)}`,
        );
        equal(
          [...sync.list(range)],
          await collect(store.list(range)),
          `list ${JSON.stringify(range)}`,
        );
      }
    },
  },
  {
    name: 'lists every key although many are deleted or written as they are seen',
    needs: ['blocking'],
    run: async (t) => {
      const { value } = t;
      const sync = view(t);
      const keys = Array.from({ length: 600 }, (_, n) => `k${String(n).padStart(4, '0')}`);
      sync.setMany(keys.map((key, n) => [key, value(n)] as const));
      const seen: string[] = [];
      for (const { key } of sync.list()) {
        seen.push(key);
        if (seen.length % 10 === 0) sync.delete(key);
        if (seen.length % 10 === 5) sync.set(key, value(1));
      }
      equal(seen, keys, 'the keys');
      equal([...sync.keys()].length, 540, 'keys left');
      // Left early, it holds nothing that a later write would wait for.
      for (const key of sync.keys()) if (key > 'k0100') break;
      sync.set('after', value(2));
      equal(sync.get('after'), value(2), 'a later value');
    },
  },
  {
    name: 'updates, and loads what is missing',
    needs: ['blocking', 'conditional'],
    run: async (t) => {
      const { store, value } = t;
      const sync = view(t);
      const seen: unknown[] = [];
      const entry = sync.update('a', (before) => {
        seen.push(before);
        return value(1);
      });
      equal(entry, await store.getEntry('a'), 'the entry');
      sync.update('a', (before) => {
        seen.push(before);
        return undefined;
      });
      equal(seen, [undefined, value(1)], 'what the function was given');
      equal(await store.has('a'), false, 'has');
      equal(
        sync.getOrSet('a', () => value(2)),
        value(2),
        'getOrSet',
      );
      equal(
        sync.getOrSet('a', () => value(3)),
        value(2),
        'getOrSet of what is there',
      );
      const broken = (): never => {
        throw new RangeError('broken');
      };
      for (const run of [() => sync.update('a', broken), () => sync.getOrSet('b', broken)]) {
        let error: unknown;
        try {
          run();
        } catch (thrown) {
          error = thrown;
        }
        equal(error instanceof RangeError, true, 'the error of the function');
      }
      equal(await store.get('a'), value(2), 'the value');
    },
  },
  {
    name: 'refuses functions that give promises',
    needs: ['blocking', 'conditional'],
    run: async (t) => {
      const { store, value } = t;
      const sync = view(t);
      const promised = async (): Promise<unknown> => value(1);
      await fails(() => sync.update('a', promised), 'invalid-argument', 'update');
      await fails(() => sync.getOrSet('a', promised), 'invalid-argument', 'getOrSet');
      await fails(
        () => sync.update('a', 5 as unknown as () => unknown),
        'invalid-argument',
        'no fn',
      );
      equal(await store.has('a'), false, 'has');
    },
  },
  {
    name: 'shows its writes in the feed',
    needs: ['blocking', 'feed'],
    run: async (t) => {
      const { store, value } = t;
      const sync = view(t);
      const after = sync.cursor();
      equal(after, await store.cursor(), 'the cursor');
      const follower = new Follower(t, store, { after });
      const waiting = follower.step();
      sync.set('a', value(1));
      equal(
        (await waiting).writes.map(({ key }) => key),
        ['a'],
        'what a waiting watch gives',
      );
      sync.setMany([
        ['b', value(2)],
        ['c', value(3)],
      ]);
      sync.delete('a');
      await follower.catchUp(store);
      sameState(follower.state, await stateOf(store), 'the state');
      await follower.stop();
    },
  },
  {
    name: 'keeps values apart from those of its callers',
    needs: ['blocking'],
    factory: 'copies',
    run: async (t) => {
      const { values } = t;
      const { spoil } = values;
      if (spoil === undefined) return;
      const sync = view(t);
      const mine = values.nth(1);
      sync.set('a', mine);
      spoil(mine);
      equal(sync.get('a'), values.nth(1), 'after what went in was changed');
      for (const read of [
        () => sync.get('a'),
        () => sync.getEntry('a')?.value,
        () => sync.getMany(['a']).get('a'),
        () => [...sync.list()][0]?.value,
        () => sync.getOrSet('a', () => values.nth(2)),
      ]) {
        spoil(read());
        equal(sync.get('a'), values.nth(1), 'after what came out was changed');
      }
    },
  },
];
