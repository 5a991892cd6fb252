import type { BatchWrite, CallOptions } from '../../store/operations.ts';
import { defined, equal, fails, ok } from '../assert.ts';
import { type Case, type CaseContext, collect } from './case.ts';
import { blockingCalls, blockingOf, bounded, type Calls } from './methods.ts';

const UNKNOWN = ['ttl', 'timeout', 'If', 'onConflict', 'toString'];

async function refuseAll(
  { store, value }: CaseContext,
  calls: (options: CallOptions) => Calls,
  bad: readonly unknown[],
  mentioned?: string,
): Promise<void> {
  const { version } = await store.set('kept', value(1));
  for (const options of bad) {
    for (const [name, run] of Object.entries(calls(options as CallOptions))) {
      const error = await fails(run, 'invalid-argument', `${name} with ${JSON.stringify(options)}`);
      if (mentioned !== undefined)
        ok(error.message.includes(mentioned), `${name} names ${mentioned}: ${error.message}`);
    }
  }
  equal(await collect(store.keys()), ['kept'], 'keys');
  equal((await store.getEntry('kept'))?.version, version, 'the version that was there');
}

/** A typo must not be silent. */
export const options: readonly Case[] = [
  ...UNKNOWN.map(
    (name): Case => ({
      name: `refuses the unknown option ${name} in every method, and changes nothing`,
      run: (t) =>
        refuseAll(t, (given) => bounded(t.store, 'a', t.value(2), given), [{ [name]: 1 }], name),
    }),
  ),
  {
    name: 'refuses options that are no object in every method',
    run: (t) =>
      refuseAll(t, (given) => bounded(t.store, 'a', t.value(2), given), [null, 5, 'x', true, []]),
  },
  {
    name: 'refuses wrong timeouts and signals in every method',
    run: (t) =>
      refuseAll(t, (given) => bounded(t.store, 'a', t.value(2), given), [
        ...[0, -1, Number.NaN, '5', null, {}].map((timeoutMs) => ({ timeoutMs })),
        ...[null, {}, { aborted: false }, new AbortController()].map((signal) => ({ signal })),
      ]),
  },
  {
    name: 'refuses wrong conditions and marks',
    needs: ['conditional'],
    run: async (t) => {
      const { store, value } = t;
      const conditions = ['present', '', null, 1, {}, { version: 1 }, { version: 'x', extra: 1 }];
      await refuseAll(
        t,
        (given) => ({
          set: () => store.set('a', value(2), given),
          delete: () => store.delete('kept', given),
          'set in a batch': () =>
            store.batch([
              { type: 'set', key: 'a', value: value(2), ...given } as BatchWrite<unknown>,
            ]),
          'delete in a batch': () =>
            store.batch([{ type: 'delete', key: 'kept', ...given } as BatchWrite<unknown>]),
        }),
        conditions.map((condition) => ({ if: condition })),
      );
      await refuseAll(
        t,
        (given) => ({ set: () => store.set('a', value(2), given) }),
        [1, 'yes', null].map((mark) => ({ immutable: mark })),
      );
    },
  },
  {
    name: 'refuses a condition where the method brings its own',
    run: (t) => {
      const { store, value } = t;
      return refuseAll(
        t,
        (given) => ({
          setMany: () => store.setMany([['a', value(2)]], given),
          getOrSet: () => store.getOrSet('a', () => value(2), given),
          ...(store.capabilities.conditional === 'all' && {
            update: () => store.update('a', () => value(2), given),
          }),
        }),
        [{ if: 'absent' }],
        'if',
      );
    },
  },
  {
    name: 'refuses batches that are none',
    run: async (t) => {
      const { store, value } = t;
      const set = { type: 'set', key: 'a', value: value(2) } as const;
      const bad: unknown[] = [
        undefined,
        null,
        5,
        set,
        [set, null],
        [set, undefined],
        [set, 'a'],
        [set, { key: 'b', value: value(1) }],
        [set, { type: 'put', key: 'b', value: value(1) }],
        [set, { type: 'set', value: value(1) }],
        [set, { type: 'set', key: 'b' }],
        [set, { type: 'delete' }],
        [set, { type: 'delete', key: 'kept', value: value(1) }],
        [set, { ...set, timeoutMs: 5 }],
        [set, { ...set, signal: new AbortController().signal }],
        [set, { ...set, ttl: 5 }],
      ];
      await store.set('kept', value(1));
      const blocking = blockingOf(store);
      for (const [n, writes] of bad.entries()) {
        const given = writes as BatchWrite<unknown>[];
        await fails(() => store.batch(given), 'invalid-argument', `batch ${n}`);
        if (blocking !== undefined)
          await fails(() => blocking.batch(given), 'invalid-argument', `blocking.batch ${n}`);
      }
      equal(await collect(store.keys()), ['kept'], 'keys');
    },
  },
  {
    name: 'refuses lists of keys and pairs that are none',
    run: async ({ store, value }) => {
      await store.set('kept', value(1));
      const blocking = blockingOf(store);
      for (const bad of [undefined, null, 5, 'kept', {}, { length: 1, 0: 'kept' }]) {
        const keys = bad as Iterable<string>;
        for (const reader of [store, ...(blocking === undefined ? [] : [blocking])])
          for (const name of ['getMany', 'getEntries', 'hasMany', 'deleteMany'] as const)
            await fails(() => reader[name](keys), 'invalid-argument', `${name} of ${String(bad)}`);
      }
      for (const bad of [undefined, null, 5, 'ab', ['ab'], [null], [['a']], [{ key: 'a' }]]) {
        const pairs = bad as Iterable<[string, unknown]>;
        await fails(
          () => store.setMany(pairs),
          'invalid-argument',
          `setMany of ${JSON.stringify(bad)}`,
        );
        if (blocking !== undefined)
          await fails(() => blocking.setMany(pairs), 'invalid-argument', 'blocking.setMany');
      }
      equal(await collect(store.keys()), ['kept'], 'keys');
    },
  },
  {
    name: 'refuses a loader that is none, or gives nothing',
    run: async ({ store }) => {
      for (const bad of [undefined, null, 'x', {}])
        await fails(
          () => store.getOrSet('a', bad as () => unknown),
          'invalid-argument',
          'getOrSet',
        );
      await fails(() => store.getOrSet('a', () => undefined), 'invalid-argument', 'nothing loaded');
      equal(await store.has('a'), false, 'has');
    },
  },
  {
    name: 'takes an option that is undefined for one not given',
    run: async ({ store, value }) => {
      const none = { timeoutMs: undefined, signal: undefined } as object;
      // A watch would wait.
      const { watch, ...calls } = bounded(store, 'a', value(1), none);
      for (const run of Object.values(calls)) await run();
      equal(await store.get('a'), value(1), 'the value');
    },
  },
  {
    name: 'takes fresh in every read of named keys, and gives what was written',
    run: async ({ store, value }) => {
      const { version } = await store.set('a', value(1));
      for (const fresh of [true, false, undefined]) {
        const given = fresh === undefined ? {} : { fresh };
        equal(await store.get('a', given), value(1), 'get');
        equal((await store.getEntry('a', given))?.version, version, 'getEntry');
        equal((await store.getEntry('a', given))?.stale, undefined, 'a mark');
        equal((await store.getMany(['a', 'b'], given)).get('a'), value(1), 'getMany');
        equal((await store.getEntries(['b', 'a'], given)).get('a')?.version, version, 'getEntries');
        equal(await store.has('a', given), true, 'has');
        equal([...(await store.hasMany(['a', 'b'], given))], ['a'], 'hasMany');
        equal(await store.get('b', given), undefined, 'a miss');
      }
      equal(await store.get('a'), value(1), 'afterwards');
    },
  },
  {
    name: 'refuses a wrong fresh, and one where nothing is read',
    run: (t) => {
      const { getMany, getEntries, hasMany, get, getEntry, has, ...others } = bounded(
        t.store,
        'a',
        t.value(2),
        {},
      );
      return refuseAll(
        t,
        (given) => {
          const all = bounded(t.store, 'a', t.value(2), given);
          const wanted =
            'fresh' in given && given.fresh === true ? Object.keys(others) : Object.keys(all);
          return Object.fromEntries(wanted.map((name) => [name, defined(all[name], name)]));
        },
        [...[1, 'yes', null].map((fresh) => ({ fresh })), { fresh: true }],
        'fresh',
      );
    },
  },
  {
    name: 'refuses unknown options in the synchronous view',
    needs: ['blocking'],
    run: async (t) => {
      const blocking = defined(blockingOf(t.store), 'a synchronous view');
      const calls = Object.keys(blockingCalls(blocking, 'a', t.value(2))).filter((name) =>
        /\.(getOrSet|set|delete|setMany|clear|update|list|keys)$/.test(name),
      );
      await refuseAll(
        t,
        (given) => {
          const all = blockingCalls(blocking, 'a', t.value(2), given);
          return Object.fromEntries(calls.map((name) => [name, defined(all[name], name)]));
        },
        [{ ttl: 1 }, null, 5],
      );
    },
  },
];
