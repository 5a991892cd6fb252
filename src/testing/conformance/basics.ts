import { defined, equal, ok } from '../assert.ts';
import { type Case, collect } from './case.ts';

/** What every store does: read, write, delete, one or many. */
export const basics: readonly Case[] = [
  {
    name: 'has the capabilities required of it, as frozen data',
    run: async ({ store, required }) => {
      const { capabilities } = store;
      ok(Object.isFrozen(capabilities), 'the capabilities are frozen');
      for (const [name, value] of Object.entries(required))
        equal(capabilities[name as keyof typeof capabilities], value, `the capability ${name}`);
      ok(capabilities.maxKeyBytes >= 512, 'keys of 512 bytes are accepted');
      equal('blocking' in store && store.blocking !== undefined, capabilities.blocking, 'blocking');
    },
  },
  {
    name: 'starts empty',
    run: async ({ store }) => {
      equal(await collect(store.keys()), [], 'keys');
      equal(await collect(store.list()), [], 'list');
    },
  },
  {
    name: 'gives undefined for a missing key, and no error',
    run: async ({ store }) => {
      equal(await store.get('a'), undefined, 'get');
      equal(await store.getEntry('a'), undefined, 'getEntry');
      equal(await store.has('a'), false, 'has');
      equal(await store.getMany(['a', 'b']), new Map(), 'getMany');
      equal(await store.getEntries(['a', 'b']), new Map(), 'getEntries');
      equal(await store.hasMany(['a', 'b']), new Set(), 'hasMany');
    },
  },
  {
    name: 'reads what was written, in every way of reading',
    run: async ({ store, value }) => {
      const head = await store.set('a', value(1));
      equal(await store.get('a'), value(1), 'get');
      const entry = defined(await store.getEntry('a'), 'an entry');
      equal(entry, { ...head, value: value(1) }, 'getEntry is what set gave, and the value');
      equal(await store.has('a'), true, 'has');
      equal(await store.getMany(['a']), new Map([['a', value(1)]]), 'getMany');
      equal(await store.getEntries(['a']), new Map([['a', entry]]), 'getEntries');
      equal(await store.hasMany(['a']), new Set(['a']), 'hasMany');
      equal(await collect(store.list()), [entry], 'list');
      equal(await collect(store.keys()), ['a'], 'keys');
    },
  },
  {
    name: 'gives a new entry without its value for a write',
    run: async ({ store, value }) => {
      const head = await store.set('a', value(1));
      equal('value' in head, false, 'a value in it');
      equal(head.key, 'a', 'its key');
      ok(typeof head.version === 'string' && head.version !== '', 'it has a version');
      ok(Number.isFinite(head.modifiedAt), 'it has a time');
      equal(
        [head.expiresAt, head.immutable, head.meta, head.origin],
        Array(4).fill(undefined),
        'the rest',
      );
    },
  },
  {
    name: 'replaces a value, with a new version and a later revision',
    needs: ['records'],
    run: async ({ store, value }) => {
      const first = await store.set('a', value(1));
      const second = await store.set('a', value(2));
      const same = await store.set('a', value(2));
      equal(await store.get('a'), value(2), 'the value');
      equal(new Set([first.version, second.version, same.version]).size, 3, 'distinct versions');
      if (first.rev === undefined) return;
      const revs = [first, second, same].map((head) => defined(head.rev, 'a revision'));
      ok((revs[0] ?? 0) < (revs[1] ?? 0) && (revs[1] ?? 0) < (revs[2] ?? 0), `${revs} grow`);
    },
  },
  {
    name: 'deletes, and tells whether the key existed',
    run: async ({ store, value }) => {
      await store.set('a', value(1));
      equal(await store.delete('a'), true, 'the first delete');
      equal(await store.delete('a'), false, 'the second');
      equal(await store.delete('never'), false, 'of a key that never was');
      equal(await store.get('a'), undefined, 'get');
      equal(await store.has('a'), false, 'has');
      equal(await collect(store.keys()), [], 'keys');
    },
  },
  {
    name: 'never uses a version twice, also not after a delete',
    needs: ['records'],
    run: async ({ store, value }) => {
      const versions: string[] = [];
      for (let i = 0; i < 20; i++) {
        versions.push((await store.set('a', value(1))).version);
        if (i % 2 === 1) await store.delete('a');
      }
      equal(new Set(versions).size, versions.length, 'distinct versions');
    },
  },
  {
    name: 'reads many keys in the order asked, each once, and leaves out what is missing',
    run: async ({ store, value }) => {
      for (const [n, key] of ['a', 'b', 'c', 'd'].entries()) await store.set(key, value(n));
      const asked = ['d', 'none', 'a', 'd', 'c'];
      equal([...(await store.getMany(asked)).keys()], ['d', 'a', 'c'], 'getMany');
      equal([...(await store.getEntries(asked)).keys()], ['d', 'a', 'c'], 'getEntries');
      equal([...(await store.hasMany(asked))], ['d', 'a', 'c'], 'hasMany');
      equal(await store.getMany([]), new Map(), 'getMany of none');
      equal(await store.getMany(new Set(['b'])), new Map([['b', value(1)]]), 'of any iterable');
    },
  },
  {
    name: 'writes and deletes many',
    run: async ({ store, value }) => {
      const pairs = Array.from({ length: 50 }, (_, n) => [`k${n}`, value(n)] as const);
      const { results } = await store.setMany(pairs);
      equal(
        results.map(({ key }) => key),
        pairs.map(([key]) => key),
        'the keys of the results',
      );
      equal(await store.getMany(pairs.map(([key]) => key)), new Map(pairs), 'the values');
      equal(await store.deleteMany(['k1', 'none', 'k2']), 2, 'deleteMany');
      equal(await store.has('k1'), false, 'has');
      equal((await collect(store.keys())).length, 48, 'keys left');
      equal((await store.setMany([])).results, [], 'setMany of none');
      equal(await store.deleteMany([]), 0, 'deleteMany of none');
    },
  },
  {
    name: 'writes, reads and deletes thousands at once',
    run: async ({ store, value }) => {
      const pairs = Array.from({ length: 4_000 }, (_, n) => [`key ${n}`, value(n % 9)] as const);
      const all = pairs.map(([key]) => key);
      await store.setMany(pairs);
      equal(await store.getMany(all), new Map(pairs), 'getMany');
      equal((await store.getEntries(all)).size, 4_000, 'getEntries');
      equal(await store.hasMany([...all, 'none']), new Set(all), 'hasMany');
      equal(await store.deleteMany(all), 4_000, 'deleteMany');
      equal(await collect(store.keys()), [], 'keys');
    },
  },
  {
    name: 'takes the last of pairs with one key',
    run: async ({ store, value }) => {
      const { results } = await store.setMany([
        ['a', value(1)],
        ['b', value(2)],
        ['a', value(3)],
      ]);
      equal(
        results.map(({ key, existed }) => [key, existed]),
        [
          ['a', false],
          ['b', false],
          ['a', true],
        ],
        'the results',
      );
      equal(await store.get('a'), value(3), 'the value');
      equal(await store.deleteMany(['a', 'a', 'b']), 2, 'deleteMany counts a key once');
    },
  },
  {
    name: 'clears everything, or what begins with a prefix',
    run: async ({ store, value }) => {
      await store.setMany(
        ['a', 'a:1', 'a:2', 'b', 'b:1'].map((key, n) => [key, value(n)] as const),
      );
      equal(await store.clear({ prefix: 'a:' }), 2, 'clear with a prefix');
      equal(await collect(store.keys()), ['a', 'b', 'b:1'], 'keys');
      equal(await store.clear({ prefix: 'zzz' }), 0, 'clear of none');
      equal(await store.clear(), 3, 'clear');
      equal(await collect(store.keys()), [], 'keys');
      equal(await store.clear(), 0, 'clear of an empty store');
    },
  },
  {
    name: 'clears more than one batch of keys',
    run: async ({ store, value }) => {
      const pairs = Array.from({ length: 2_300 }, (_, n) => [`k${n}`, value(n % 7)] as const);
      await store.setMany(pairs);
      equal(await store.clear(), 2_300, 'clear');
      equal(await collect(store.keys()), [], 'keys');
    },
  },
  {
    name: 'keeps the last of writes that were begun in order',
    run: async ({ store, value }) => {
      await Promise.all(Array.from({ length: 100 }, (_, n) => store.set('a', value(n))));
      equal(await store.get('a'), value(99), 'the value');
    },
  },
  {
    name: 'keeps keys apart under many calls at once',
    run: async ({ store, value }) => {
      await Promise.all(
        Array.from({ length: 200 }, async (_, n) => {
          const key = `k${n % 40}`;
          await store.set(key, value(n % 40));
          equal(await store.get(key), value(n % 40), key);
        }),
      );
      equal((await collect(store.keys())).length, 40, 'keys');
    },
  },
  {
    name: 'keeps stores apart',
    run: async ({ store, value, another }) => {
      const other = await another();
      await store.set('a', value(1));
      equal(await other.get('a'), undefined, 'the other store');
      await other.set('a', value(2));
      equal(await store.get('a'), value(1), 'the first store');
      await other.clear();
      equal(await store.get('a'), value(1), 'the first store after the other was cleared');
    },
  },
  {
    name: 'loads a missing value once, however many callers',
    run: async ({ store, value }) => {
      let loads = 0;
      const loader = async (): Promise<unknown> => {
        loads++;
        await Promise.resolve();
        return value(1);
      };
      const got = await Promise.all(Array.from({ length: 50 }, () => store.getOrSet('a', loader)));
      equal(
        got,
        Array.from({ length: 50 }, () => value(1)),
        'the values',
      );
      equal(loads, 1, 'runs of the loader');
      equal(await store.getOrSet('a', loader), value(1), 'once more');
      equal(loads, 1, 'runs of the loader');
      equal(await store.get('a'), value(1), 'stored');
    },
  },
  {
    name: 'tells every caller that a load failed, and loads anew for the next',
    run: async ({ store, value }) => {
      const broken = new Error('broken');
      const got = await Promise.allSettled(
        Array.from({ length: 3 }, () => store.getOrSet('a', () => Promise.reject(broken))),
      );
      for (const one of got)
        equal(one.status === 'rejected' && one.reason === broken, true, 'the error');
      equal(await store.get('a'), undefined, 'stored');
      equal(await store.getOrSet('a', () => value(2)), value(2), 'the next load');
    },
  },
];
