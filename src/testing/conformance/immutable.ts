import { equal, fails, ok } from '../assert.ts';
import { type Case, collect } from './case.ts';

/** Content that never changes under its key. */
export const immutable: readonly Case[] = [
  {
    name: 'marks entries as immutable',
    needs: ['records'],
    run: async ({ store, value }) => {
      equal((await store.set('a', value(1), { immutable: true })).immutable, true, 'of the set');
      equal((await store.getEntry('a'))?.immutable, true, 'of the entry');
      equal((await collect(store.list()))[0]?.immutable, true, 'of the list');
      equal((await store.set('b', value(1), { immutable: false })).immutable, undefined, 'false');
    },
  },
  {
    name: 'takes the same value again as no change',
    needs: ['records'],
    run: async ({ store, value }) => {
      const first = await store.set('a', value(1), { immutable: true });
      const again = await store.set('a', value(1), { immutable: true });
      equal(again, first, 'the entry that stands');
      equal((await store.getEntry('a'))?.version, first.version, 'the version');
      const { results } = await store.batch([
        { type: 'set', key: 'a', value: value(1), immutable: true },
        { type: 'set', key: 'b', value: value(2), immutable: true },
        { type: 'set', key: 'b', value: value(2), immutable: true },
      ]);
      equal(
        results.map(({ existed }) => existed),
        [true, false, true],
        'in a batch',
      );
      equal(results[0]?.entry?.version, first.version, 'the version in a batch');
    },
  },
  {
    name: 'refuses any other value',
    needs: ['records'],
    run: async ({ store, value }) => {
      await store.set('a', value(1), { immutable: true });
      const refused = { key: 'a' };
      await fails(() => store.set('a', value(2)), 'conflict', 'a plain set', refused);
      await fails(() => store.set('a', value(1)), 'conflict', 'the same, mutable', refused);
      const other = { immutable: true };
      await fails(() => store.set('a', value(2), other), 'conflict', 'another', refused);
      await fails(() => store.setMany([['a', value(2)]]), 'conflict', 'setMany', refused);
      if (store.capabilities.conditional === 'all')
        await fails(() => store.update('a', () => value(2)), 'conflict', 'update', refused);
      equal(await store.get('a'), value(1), 'the value');
    },
  },
  {
    name: 'can be deleted, and then written anew',
    needs: ['records'],
    run: async ({ store, value }) => {
      const first = await store.set('a', value(1), { immutable: true });
      equal(await store.delete('a'), true, 'delete');
      const second = await store.set('a', value(2), { immutable: true });
      ok(second.version !== first.version, 'the version is a new one');
      equal(await store.get('a'), value(2), 'the value');
    },
  },
  {
    name: 'may replace a mutable entry',
    needs: ['records'],
    run: async ({ store, value }) => {
      await store.set('a', value(1));
      await store.set('a', value(2), { immutable: true });
      equal(await store.get('a'), value(2), 'the value');
      await fails(() => store.set('a', value(3)), 'conflict', 'a later set');
    },
  },
];
