import type { BatchWrite } from '../../store/operations.ts';
import { defined, equal, fails, ok } from '../assert.ts';
import { settled } from '../settled.ts';
import { type Case, collect } from './case.ts';

/** Ordered writes that happen together. */
export const batch: readonly Case[] = [
  {
    name: 'applies writes in their order, and says what each did',
    needs: ['records'],
    run: async ({ store, value }) => {
      await store.set('b', value(0));
      const { results } = await store.batch([
        { type: 'set', key: 'a', value: value(1) },
        { type: 'delete', key: 'b' },
        { type: 'delete', key: 'none' },
        { type: 'set', key: 'c', value: value(2), meta: { n: 1 } },
        { type: 'set', key: 'a', value: value(3) },
      ]);
      equal(
        results.map(({ key, existed, entry }) => [key, existed, entry !== undefined]),
        [
          ['a', false, true],
          ['b', true, false],
          ['none', false, false],
          ['c', false, true],
          ['a', true, true],
        ],
        'the results',
      );
      equal(
        await store.getMany(['a', 'b', 'c']),
        new Map([
          ['a', value(3)],
          ['c', value(2)],
        ]),
        'state',
      );
      equal((await store.getEntry('c'))?.meta, { n: 1 }, 'metadata');
      equal((await store.getEntry('a'))?.version, results[4]?.entry?.version, 'the last version');
    },
  },
  {
    name: 'leaves a key as the last of several writes to it says',
    run: async ({ store, value }) => {
      await store.set('gone', value(0));
      await store.batch([
        { type: 'set', key: 'gone', value: value(1) },
        { type: 'delete', key: 'gone' },
        { type: 'set', key: 'back', value: value(2) },
        { type: 'delete', key: 'back' },
        { type: 'set', key: 'back', value: value(3) },
        { type: 'set', key: 'never', value: value(4) },
        { type: 'delete', key: 'never' },
      ]);
      equal(await collect(store.keys()), ['back'], 'keys');
      equal(await store.get('back'), value(3), 'the value');
    },
  },
  {
    name: 'does nothing for an empty batch',
    run: async ({ store }) => {
      equal((await store.batch([])).results, [], 'results');
      equal(await collect(store.keys()), [], 'keys');
    },
  },
  {
    name: 'takes any iterable, once',
    run: async ({ store, value }) => {
      function* writes(): Generator<BatchWrite<unknown>> {
        yield { type: 'set', key: 'a', value: value(1) };
        yield { type: 'set', key: 'b', value: value(2) };
      }
      await store.batch(writes());
      equal(await collect(store.keys()), ['a', 'b'], 'keys');
    },
  },
  {
    name: 'gives all its entries one revision',
    needs: ['batch', 'feed'],
    run: async ({ store, value }) => {
      const { rev, results } = await store.batch([
        { type: 'set', key: 'a', value: value(1) },
        { type: 'set', key: 'b', value: value(2) },
      ]);
      ok(rev !== undefined, 'the batch has a revision');
      equal(
        results.map(({ entry }) => entry?.rev),
        [rev, rev],
        'revisions of the results',
      );
      equal((await store.getEntry('a'))?.rev, rev, 'revision of an entry');
      const versions = results.map(({ entry }) => defined(entry, 'an entry').version);
      equal(new Set(versions).size, 2, 'distinct versions');
    },
  },
  {
    name: 'applies nothing when one condition fails, and names the key',
    needs: ['batch', 'conditional'],
    run: async ({ store, value }) => {
      const { version } = await store.set('a', value(1));
      const set = (key: string, n: number): BatchWrite<unknown> => ({
        type: 'set',
        key,
        value: value(n),
      });
      const failing: BatchWrite<unknown>[] = [
        { ...set('a', 2), if: 'absent' } as BatchWrite<unknown>,
        { type: 'delete', key: 'a', if: { version: 'other' } },
        { ...set('z', 2), if: { version } } as BatchWrite<unknown>,
        { type: 'delete', key: 'z', if: { version } },
      ];
      for (const bad of failing) {
        const writes = [set('b', 1), { type: 'delete', key: 'a' } as const, set('a', 9), bad];
        await fails(() => store.batch(writes), 'conflict', `batch with ${bad.type} ${bad.key}`, {
          key: bad.key,
          operation: 'batch',
        });
        equal(await collect(store.keys()), ['a'], 'keys');
        equal((await store.getEntry('a'))?.version, version, 'the version that was there');
      }
    },
  },
  {
    name: 'checks each condition against what the writes before it left',
    needs: ['batch', 'conditional'],
    run: async ({ store, value }) => {
      const { version } = await store.set('a', value(1));
      await store.batch([
        { type: 'delete', key: 'a', if: { version } },
        { type: 'set', key: 'a', value: value(2), if: 'absent' },
        { type: 'set', key: 'b', value: value(3), if: 'absent' },
      ]);
      equal(await store.get('a'), value(2), 'the value');
      await fails(
        () =>
          store.batch([
            { type: 'set', key: 'c', value: value(1), if: 'absent' },
            { type: 'set', key: 'c', value: value(2), if: 'absent' },
          ]),
        'conflict',
        'absent, after it was set',
        { key: 'c' },
      );
      equal(await store.has('c'), false, 'has');
    },
  },
  {
    name: 'never shows half of a batch',
    needs: ['batch'],
    run: async ({ store, value }) => {
      const keys = ['a', 'b', 'c'];
      let writing = true;
      const write = async (): Promise<void> => {
        for (let n = 0; n < 40; n++)
          await store.setMany(keys.map((key) => [key, value(n)] as const));
        writing = false;
      };
      const read = async (): Promise<void> => {
        while (writing) {
          const seen = [...(await store.getEntries(keys)).values()];
          const versions = new Set(seen.map(({ rev }) => rev));
          ok(versions.size <= 1, `keys written together have one revision: ${[...versions]}`);
          await settled();
        }
      };
      await Promise.all([write(), read()]);
    },
  },
  {
    name: 'applies large batches whole',
    run: async ({ store, value }) => {
      const writes = Array.from({ length: 5_000 }, (_, n): BatchWrite<unknown> => {
        return { type: 'set', key: `k${String(n).padStart(5, '0')}`, value: value(n) };
      });
      const { results } = await store.batch(writes);
      equal(results.length, 5_000, 'results');
      const all = await collect(store.list());
      equal(
        all.map(({ key }) => key),
        writes.map(({ key }) => key),
        'keys',
      );
      equal(all[4_321]?.value, value(4_321), 'one of the values');
    },
  },
];
