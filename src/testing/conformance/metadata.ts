import { defined, equal, fails, ok } from '../assert.ts';
import { type Case, collect } from './case.ts';

const META = { tag: 'x', n: 1.5, none: null, list: [1, 'two', { three: true }], 'odd ☃': '\u0000' };

/** What is known of an entry beside its value. */
export const metadata: readonly Case[] = [
  {
    name: 'refuses as unsupported what it does not keep, before anything is changed',
    run: async ({ store, value }) => {
      if (store.capabilities.bare !== true) return;
      const extras = [{ meta: META }, { meta: {} }, { immutable: true }];
      for (const extra of extras) {
        await fails(() => store.set('a', value(1), extra), 'unsupported', 'set', { key: 'a' });
        const writes = [
          { type: 'set', key: 'b', value: value(1) },
          { type: 'set', key: 'a', value: value(1), ...extra },
        ] as const;
        await fails(() => store.batch(writes), 'unsupported', 'batch', { key: 'a' });
      }
      equal(await collect(store.keys()), [], 'keys');
      equal((await store.set('a', value(1), { immutable: false })).modifiedAt, 0, 'the time');
    },
  },
  {
    name: 'gives a version that tells value and end',
    needs: ['ttl'],
    run: async ({ store, value }) => {
      if (store.capabilities.bare !== true) return;
      const versions = new Set<string>();
      for (const n of [1, 2, 1]) versions.add((await store.set('a', value(n))).version);
      const ends = { ttlMs: 3_600_000 };
      versions.add((await store.set('a', value(1), ends)).version);
      equal(versions.size, 3, 'distinct versions');
    },
  },
  {
    name: 'keeps metadata with the entry, and drops it with the next set',
    needs: ['records'],
    run: async ({ store, value }) => {
      equal((await store.set('a', value(1), { meta: META })).meta, META, 'of the set');
      equal((await store.getEntry('a'))?.meta, META, 'of getEntry');
      equal((await store.getEntries(['a'])).get('a')?.meta, META, 'of getEntries');
      equal((await collect(store.list()))[0]?.meta, META, 'of list');
      await store.set('a', value(2));
      equal((await store.getEntry('a'))?.meta, undefined, 'after a plain set');
      await store.set('b', value(1), { meta: {} });
      equal((await store.getEntry('b'))?.meta, {}, 'empty metadata');
    },
  },
  {
    name: 'gives each write of a batch its own metadata, and one to all of setMany',
    needs: ['records'],
    run: async ({ store, value }) => {
      await store.batch([
        { type: 'set', key: 'a', value: value(1), meta: { n: 1 } },
        { type: 'set', key: 'b', value: value(2), meta: { n: 2 } },
        { type: 'set', key: 'c', value: value(3) },
      ]);
      const metas = async (): Promise<unknown[]> =>
        (await collect(store.list())).map(({ meta }) => meta);
      equal(await metas(), [{ n: 1 }, { n: 2 }, undefined], 'of the batch');
      await store.setMany(
        [
          ['a', value(1)],
          ['c', value(3)],
        ],
        { meta: { all: true } },
      );
      equal(await metas(), [{ all: true }, { n: 2 }, { all: true }], 'of setMany');
    },
  },
  {
    name: 'copies metadata on the way in, and does not let it be changed on the way out',
    needs: ['records'],
    run: async ({ store, value }) => {
      const meta = { list: [1], deep: { n: 1 } };
      const head = await store.set('a', value(1), { meta });
      meta.list.push(2);
      meta.deep.n = 2;
      equal((await store.getEntry('a'))?.meta, { list: [1], deep: { n: 1 } }, 'kept');
      const entry = defined(await store.getEntry('a'), 'an entry');
      for (const found of [head.meta, entry.meta]) {
        const spoilable = found as { list: unknown[]; extra?: number };
        attempt(() => spoilable.list.push(3));
        attempt(() => {
          spoilable.extra = 1;
        });
      }
      equal((await store.getEntry('a'))?.meta, { list: [1], deep: { n: 1 } }, 'still kept');
    },
  },
  {
    name: 'refuses metadata that is no small object of JSON data, and changes nothing',
    needs: ['records'],
    run: async ({ store, value }) => {
      const cyclic: Record<string, unknown> = {};
      cyclic.self = cyclic;
      const bad = [
        'x',
        1,
        true,
        null,
        [1],
        new Map(),
        new Date(0),
        { big: 1n },
        cyclic,
        { text: 'x'.repeat(16 * 1024) },
      ];
      for (const meta of bad) {
        const options = { meta } as object;
        await fails(() => store.set('a', value(1), options), 'invalid-argument', 'set');
        await fails(
          () => store.batch([{ type: 'set', key: 'a', value: value(1), ...options }]),
          'invalid-argument',
          'batch',
        );
      }
      equal(await store.has('a'), false, 'has');
    },
  },
  {
    name: 'tells when an entry was written, by the clock',
    needs: ['records'],
    run: async ({ store, value, env, pass }) => {
      const first = await store.set('a', value(1));
      await pass(5);
      const second = await store.set('b', value(1));
      ok(first.modifiedAt > 1.7e12 && first.modifiedAt < 4e12, 'it is a time in ms since 1970');
      ok(second.modifiedAt >= first.modifiedAt, 'the later write has no earlier time');
      equal((await store.getEntry('a'))?.modifiedAt, first.modifiedAt, 'the time of the entry');
      if (env !== undefined) equal(second.modifiedAt - first.modifiedAt, 5, 'the time between');
    },
  },
  {
    name: 'orders by revisions, and not by a clock that steps back',
    needs: ['records'],
    run: async ({ store, value, env }) => {
      if (env === undefined) return;
      const first = await store.set('a', value(1));
      env.stepClock(-3_600_000);
      const second = await store.set('a', value(2));
      env.stepClock(3_600_000);
      equal(await store.get('a'), value(2), 'the value');
      ok(second.modifiedAt < first.modifiedAt, 'the clock did step back');
      if (first.rev !== undefined) ok((second.rev ?? 0) > first.rev, 'the revision grew');
    },
  },
];

/** A change that may be refused: frozen data throws, a copy does not. */
function attempt(change: () => void): void {
  try {
    change();
  } catch (error) {
    ok(error instanceof TypeError, 'changing frozen data is a TypeError');
  }
}
