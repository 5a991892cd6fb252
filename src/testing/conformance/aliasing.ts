import { equal } from '../assert.ts';
import { type Case, collect } from './case.ts';

/** A stored value never changes through a reference that a caller holds. */
export const aliasing: readonly Case[] = [
  {
    name: 'keeps its values when callers change what they passed in',
    factory: 'copies',
    run: async ({ store, values }) => {
      const { spoil } = values;
      if (spoil === undefined) return;
      const mine = Array.from({ length: 6 }, (_, n) => values.nth(n));
      const writes = [
        store.set('k0', mine[0]),
        store.setMany([['k1', mine[1]]]),
        store.batch([{ type: 'set', key: 'k2', value: mine[2] }]),
        store.getOrSet('k3', () => mine[3]),
        ...(store.capabilities.conditional === 'all' ? [store.update('k4', () => mine[4])] : []),
      ];
      // As early as a caller can: the three that take values have them by now.
      for (const value of mine.slice(0, 3)) spoil(value);
      await Promise.all(writes);
      for (const value of mine.slice(3)) spoil(value);
      for (const { key, value } of await collect(store.list()))
        equal(value, values.nth(Number(key.slice(1))), key);
    },
  },
  {
    name: 'keeps its values when callers change what they were given',
    factory: 'copies',
    run: async ({ store, values }) => {
      const { spoil } = values;
      if (spoil === undefined) return;
      await store.set('a', values.nth(1));
      const reads: Record<string, () => Promise<unknown>> = {
        get: () => store.get('a'),
        getEntry: async () => (await store.getEntry('a'))?.value,
        getMany: async () => (await store.getMany(['a'])).get('a'),
        getEntries: async () => (await store.getEntries(['a'])).get('a')?.value,
        getOrSet: () => store.getOrSet('a', () => values.nth(2)),
        list: async () => (await collect(store.list()))[0]?.value,
      };
      for (const [name, read] of Object.entries(reads)) {
        spoil(await read());
        equal(await store.get('a'), values.nth(1), `after ${name}`);
      }
    },
  },
  {
    name: 'gives callers of one load values of their own',
    factory: 'copies',
    run: async ({ store, values }) => {
      const { spoil } = values;
      if (spoil === undefined) return;
      const loaded = values.nth(1);
      const [one, two] = await Promise.all([
        store.getOrSet('a', async () => loaded),
        store.getOrSet('a', async () => loaded),
      ]);
      spoil(one);
      equal(two, values.nth(1), 'the other caller');
      equal(loaded, values.nth(1), 'what the loader keeps');
      equal(await store.get('a'), values.nth(1), 'the store');
    },
  },
  {
    name: 'keeps its value when an update changes the one it was given',
    needs: ['conditional'],
    factory: 'copies',
    run: async ({ store, values }) => {
      const { spoil } = values;
      if (spoil === undefined) return;
      await store.set('a', values.nth(1));
      const broken = new Error('broken');
      const outcome = await store
        .update('a', (value) => {
          spoil(value);
          throw broken;
        })
        .catch((error: unknown) => error);
      equal(outcome === broken, true, 'the error');
      equal(await store.get('a'), values.nth(1), 'the value');
      const entry = await store.update('a', () => values.nth(2));
      spoil(entry?.value);
      equal(await store.get('a'), values.nth(2), 'after the entry of an update was changed');
    },
  },
];
