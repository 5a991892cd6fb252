import { systemEnv } from '../../store/system-env.ts';
import { defined, equal, fails, ok } from '../assert.ts';
import { type Case, collect } from './case.ts';
import { blockingOf } from './methods.ts';

/** Short enough to wait for where time is real. */
const SHORT_MS = 40;
const LONG_MS = 3_600_000;

/** Entries that end by themselves, and are never served from then on. */
export const expiry: readonly Case[] = [
  {
    name: 'refuses as unsupported an expiry that it does not offer',
    run: async ({ store, value }) => {
      if (store.capabilities.ttl) return;
      await fails(() => store.set('a', value(1), { ttlMs: LONG_MS }), 'unsupported', 'ttlMs');
      await fails(() => store.set('a', value(1), { expiresAt: 1 }), 'unsupported', 'expiresAt');
      equal(await store.has('a'), false, 'has');
    },
  },
  {
    name: 'says when an entry ends',
    needs: ['ttl'],
    run: async ({ store, value, env }) => {
      const head = await store.set('a', value(1), { ttlMs: LONG_MS });
      const end = defined(head.expiresAt, 'an end');
      ok(Number.isInteger(end), 'it is in whole ms');
      const writtenAt = store.capabilities.bare ? (env ?? systemEnv).now() : head.modifiedAt;
      ok(Math.abs(end - writtenAt - LONG_MS) < 60_000, 'it is so long after the writing');
      equal((await store.getEntry('a'))?.expiresAt, end, 'the end of the entry');
      const other = await store.set('b', value(2), { expiresAt: end + 5 });
      equal(other.expiresAt, end + 5, 'the end given');
      equal((await store.set('b', value(2))).expiresAt, undefined, 'a plain set has no end');
      equal((await store.getEntry('b'))?.expiresAt, undefined, 'the entry has none');
    },
  },
  {
    name: 'takes ends that are far away, or in parts of a ms',
    needs: ['ttl'],
    run: async ({ store, value }) => {
      const far = [
        { ttlMs: 1e15 },
        { expiresAt: 1e18 },
        { expiresAt: 4e12 + 0.5 },
        { ttlMs: 1e9 / 7 },
      ];
      for (const [n, options] of far.entries()) {
        const head = await store.set(`k${n}`, value(n), options);
        ok(Number.isSafeInteger(head.expiresAt), 'the end is a whole number');
        equal((await store.getEntry(`k${n}`))?.expiresAt, head.expiresAt, 'the end of the entry');
      }
      await store.set('ever', value(1), { ttlMs: Number.POSITIVE_INFINITY });
      equal((await store.getEntry('ever'))?.expiresAt, undefined, 'an infinite life has no end');
    },
  },
  {
    name: 'hides expired entries in every way of reading',
    needs: ['ttl'],
    run: async ({ store, value, pass }) => {
      await store.setMany([['short', value(1)]], { ttlMs: SHORT_MS });
      await store.set('long', value(2), { ttlMs: LONG_MS });
      await pass(SHORT_MS + 1);
      equal(await store.get('short'), undefined, 'get');
      equal(await store.getEntry('short'), undefined, 'getEntry');
      equal(await store.has('short'), false, 'has');
      equal(await store.getMany(['short', 'long']), new Map([['long', value(2)]]), 'getMany');
      equal([...(await store.getEntries(['short', 'long'])).keys()], ['long'], 'getEntries');
      equal(await store.hasMany(['short', 'long']), new Set(['long']), 'hasMany');
      equal(await collect(store.keys()), ['long'], 'keys');
      equal(
        (await collect(store.list())).map(({ key }) => key),
        ['long'],
        'list',
      );
      equal(await collect(store.keys({ limit: 1, reverse: true })), ['long'], 'keys backwards');
      const blocking = blockingOf(store);
      if (blocking === undefined) return;
      equal(blocking.get('short'), undefined, 'blocking.get');
      equal(blocking.has('short'), false, 'blocking.has');
      equal([...blocking.keys()], ['long'], 'blocking.keys');
      equal([...blocking.list()].length, 1, 'blocking.list');
    },
  },
  {
    name: 'counts only what lives towards a limit',
    needs: ['ttl'],
    run: async ({ store, value, pass }) => {
      for (let n = 0; n < 8; n++)
        await store.set(`k${n}`, value(n), n % 2 === 0 ? { ttlMs: SHORT_MS } : {});
      await pass(SHORT_MS + 1);
      equal(await collect(store.keys({ limit: 3 })), ['k1', 'k3', 'k5'], 'forwards');
      equal(
        await collect(store.keys({ limit: 3, reverse: true })),
        ['k7', 'k5', 'k3'],
        'backwards',
      );
    },
  },
  {
    name: 'takes an expired entry for a missing one in writes',
    needs: ['ttl', 'conditional'],
    run: async ({ store, value, pass }) => {
      const made = await Promise.all(
        ['a', 'b', 'c', 'd'].map((key) => store.set(key, value(1), { ttlMs: SHORT_MS })),
      );
      await pass(SHORT_MS + 1);
      equal(await store.delete('a'), false, 'delete');
      await store.set('b', value(2), { if: 'absent' });
      const { version } = defined(made[2], 'a head');
      await fails(
        () => store.set('c', value(2), { if: { version } }),
        'conflict',
        'set if version',
      );
      let seen: unknown = 'nothing';
      await store.update('d', (before) => {
        seen = before;
        return value(3);
      });
      equal(seen, undefined, 'what the update was given');
      equal((await store.getEntry('d'))?.expiresAt, undefined, 'the former end is gone');
      equal(await store.deleteMany(['a', 'b', 'c', 'd']), 2, 'deleteMany counts what lived');
    },
  },
  {
    name: 'lets a later write end the expiry',
    needs: ['ttl'],
    run: async ({ store, value, pass }) => {
      await store.set('a', value(1), { ttlMs: SHORT_MS });
      await store.set('a', value(2));
      await store.set('b', value(1), { ttlMs: SHORT_MS });
      await store.set('b', value(2), { ttlMs: LONG_MS });
      await pass(SHORT_MS + 1);
      equal(
        await store.getMany(['a', 'b']),
        new Map([
          ['a', value(2)],
          ['b', value(2)],
        ]),
        'values',
      );
    },
  },
  {
    name: 'does not serve what ends in the past',
    needs: ['ttl'],
    run: async ({ store, value }) => {
      await store.set('a', value(1));
      await store.set('a', value(2), { expiresAt: 1 });
      equal(await store.get('a'), undefined, 'get');
      equal(await collect(store.keys()), [], 'keys');
      await store.batch([
        { type: 'set', key: 'b', value: value(1), expiresAt: 1 },
        { type: 'set', key: 'b', value: value(2), ttlMs: LONG_MS },
      ]);
      equal(await store.get('b'), value(2), 'the last of a batch');
    },
  },
  {
    name: 'loads anew what has expired',
    needs: ['ttl'],
    run: async ({ store, value, pass }) => {
      equal(await store.getOrSet('a', () => value(1), { ttlMs: SHORT_MS }), value(1), 'first');
      await pass(SHORT_MS + 1);
      equal(await store.getOrSet('a', () => value(2), { ttlMs: LONG_MS }), value(2), 'second');
      equal(await store.getOrSet('a', () => value(3)), value(2), 'third');
    },
  },
  {
    name: 'refuses lives that are none, and changes nothing',
    needs: ['ttl'],
    run: async ({ store, value }) => {
      const bad: object[] = [
        ...[0, -1, Number.NaN, '5', null, {}].map((ttlMs) => ({ ttlMs })),
        ...[-1, Number.NaN, Number.POSITIVE_INFINITY, '5', new Date(9e12), null].map(
          (expiresAt) => ({
            expiresAt,
          }),
        ),
        { ttlMs: 5, expiresAt: 5 },
      ];
      for (const options of bad) {
        const what = Object.entries(options).join();
        await fails(() => store.set('a', value(1), options), 'invalid-argument', `set ${what}`);
        await fails(
          () => store.batch([{ type: 'set', key: 'a', value: value(1), ...options }]),
          'invalid-argument',
          `batch ${what}`,
        );
      }
      equal(await store.has('a'), false, 'has');
    },
  },
];
