import { defined, equal, fails, ok } from '../assert.ts';
import { allSettle, type Case, collect } from './case.ts';

/** Atomic read-modify-write. */
export const update: readonly Case[] = [
  {
    name: 'gives the function the value it replaces, and stores what it returns',
    needs: ['conditional'],
    run: async ({ store, value }) => {
      const seen: unknown[] = [];
      const to = (n: number) => (before: unknown) => {
        seen.push(before);
        return value(n);
      };
      await store.update('a', to(1));
      const entry = defined(await store.update('a', to(2)), 'an entry');
      equal(seen, [undefined, value(1)], 'what the function was given');
      equal(entry, await store.getEntry('a'), 'the entry it resolves with');
      equal(entry.value, value(2), 'the value');
    },
  },
  {
    name: 'runs the function once when nobody interferes',
    needs: ['conditional'],
    run: async ({ store, value }) => {
      await store.set('a', value(1));
      let runs = 0;
      await store.update('a', () => {
        runs++;
        return value(2);
      });
      equal(runs, 1, 'runs');
    },
  },
  {
    name: 'awaits an asynchronous function',
    needs: ['conditional'],
    run: async ({ store, value }) => {
      await store.update('a', async () => {
        await Promise.resolve();
        return value(1);
      });
      equal(await store.get('a'), value(1), 'the value');
    },
  },
  {
    name: 'deletes when the function gives undefined',
    needs: ['conditional'],
    run: async ({ store, value }) => {
      await store.set('a', value(1));
      equal(await store.update('a', () => undefined), undefined, 'what it resolves with');
      equal(await store.has('a'), false, 'has');
      equal(await store.update('a', () => undefined), undefined, 'of a missing key');
      equal(await collect(store.keys()), [], 'keys');
    },
  },
  {
    name: 'changes nothing when the function throws',
    needs: ['conditional'],
    run: async ({ store, value }) => {
      const { version } = await store.set('a', value(1));
      const broken = new Error('broken');
      for (const fn of [
        () => {
          throw broken;
        },
        () => Promise.reject(broken),
      ]) {
        const got = await store.update('a', fn).catch((error: unknown) => error);
        equal(got === broken, true, 'the very error');
      }
      equal((await store.getEntry('a'))?.version, version, 'the version');
    },
  },
  {
    name: 'loses no update of many at once',
    needs: ['conditional'],
    run: async (t) => {
      const { store, value, values } = t;
      const order = new Map<string, number>();
      const known = (one: unknown): string =>
        JSON.stringify(one instanceof Uint8Array ? [...one] : one);
      for (let n = 0; n <= 40; n++) order.set(known(values.nth(n)), n);
      await store.set('a', value(0));
      const updates = Array.from({ length: 40 }, () =>
        store.update('a', (before) => value(defined(order.get(known(before)), 'a number') + 1)),
      );
      await allSettle(t, updates, 'the updates');
      equal(await store.get('a'), value(40), 'the value after 40 steps');
    },
  },
  {
    name: 'calls the function again with the newer value after a conflict',
    needs: ['conditional'],
    run: async ({ store, value }) => {
      await store.set('a', value(1));
      const seen: unknown[] = [];
      await store.update('a', async (before) => {
        seen.push(before);
        if (seen.length === 1) await store.set('a', value(2));
        return value(seen.length + 10);
      });
      equal(seen, [value(1), value(2)], 'what the function was given');
      equal(await store.get('a'), value(12), 'the value');
    },
  },
  {
    name: 'keeps expiry and metadata unless new ones are given',
    needs: ['conditional', 'ttl'],
    run: async ({ store, value }) => {
      const set = await store.set('a', value(1), { ttlMs: 3_600_000, meta: { tag: 'x' } });
      const kept = await store.update('a', () => value(2));
      equal([kept?.expiresAt, kept?.meta], [set.expiresAt, { tag: 'x' }], 'kept');
      const given = await store.update('a', () => value(3), {
        ttlMs: 7_200_000,
        meta: { tag: 'y' },
      });
      equal(given?.meta, { tag: 'y' }, 'metadata given');
      ok((given?.expiresAt ?? 0) > (set.expiresAt ?? 0), 'the expiry given is the later one');
      equal(await store.getEntry('a'), given, 'the entry');
    },
  },
  {
    name: 'refuses what is no function, and changes nothing',
    needs: ['conditional'],
    run: async ({ store, value }) => {
      await store.set('a', value(1));
      for (const bad of [undefined, null, value(2), 'fn'])
        await fails(() => store.update('a', bad as () => unknown), 'invalid-argument', 'update', {
          operation: 'update',
        });
      equal(await store.get('a'), value(1), 'the value');
    },
  },
];
