import { defined, equal, fails, ok } from '../assert.ts';
import { type Case, collect } from './case.ts';
import { blockingOf, keyed } from './methods.ts';

/** Every value comes back as it went in, and what is none is refused. */
export const values: readonly Case[] = [
  {
    name: 'keeps values that are easily lost or changed',
    run: async ({ store, values }) => {
      const count = values.special().length;
      for (let n = 0; n < count; n++) await store.set(`k${n}`, values.special()[n]);
      for (let n = 0; n < count; n++) {
        const expected = values.special()[n];
        equal(await store.get(`k${n}`), expected, `value ${n}`);
        equal(await store.has(`k${n}`), true, `has of value ${n}`);
        equal((await store.getEntry(`k${n}`))?.value, expected, `entry of value ${n}`);
        equal((await store.getMany([`k${n}`])).get(`k${n}`), expected, `getMany of value ${n}`);
        equal(
          await store.getOrSet(`k${n}`, () => values.nth(1)),
          expected,
          `getOrSet of value ${n}`,
        );
      }
      equal((await collect(store.list())).length, count, 'entries listed');
    },
  },
  {
    name: 'takes a falsy value for a value, in updates, conditions and deletes',
    needs: ['conditional'],
    run: async ({ store, values }) => {
      for (const [n] of values.special().entries()) {
        const special = (): unknown => values.special()[n];
        await store.set('a', special());
        await fails(() => store.set('a', values.nth(1), { if: 'absent' }), 'conflict', 'if absent');
        let seen: unknown;
        await store.update('a', (value) => {
          seen = value;
          return special();
        });
        equal(seen, special(), 'what the update was given');
        equal(await store.delete('a'), true, 'delete');
      }
    },
  },
  {
    name: 'gives bytes as plain byte arrays of their own',
    run: async ({ store, values }) => {
      const bytes = values.special().filter((value) => value instanceof Uint8Array);
      for (const [n, value] of bytes.entries()) await store.set(`k${n}`, value);
      for (const [n, value] of bytes.entries()) {
        const got = defined(await store.get(`k${n}`), 'bytes');
        ok(got instanceof Uint8Array && got.length === value.length, 'they are bytes');
        equal(got, value, 'the bytes');
      }
    },
  },
  {
    name: 'refuses undefined as a value in every method, and changes nothing',
    run: async ({ store, value }) => {
      await store.set('kept', value(1));
      const { update, delete: _, ...calls } = keyed(store, 'a', undefined);
      for (const [name, run] of Object.entries(calls))
        if (/^(blocking\.)?(set|setMany|getOrSet)$|with a set/.test(name))
          await fails(run, 'invalid-argument', name);
      equal(await collect(store.keys()), ['kept'], 'keys');
    },
  },
  {
    name: 'refuses values that it cannot carry, and changes nothing',
    factory: 'copies',
    run: async ({ store, values }) => {
      if (values.refused.length === 0) return;
      await store.set('kept', values.nth(1));
      for (const [n, refused] of values.refused.entries()) {
        const what = `refused value ${n}`;
        await fails(() => store.set('kept', refused), 'invalid-argument', `set of ${what}`, {
          key: 'kept',
        });
        const pairs: [string, unknown][] = [
          ['a', values.nth(1)],
          ['b', refused],
        ];
        await fails(() => store.setMany(pairs), 'invalid-argument', `setMany of ${what}`);
        await fails(
          () => store.batch(pairs.map(([key, value]) => ({ type: 'set', key, value }))),
          'invalid-argument',
          `batch of ${what}`,
        );
        const blocking = blockingOf(store);
        if (blocking !== undefined)
          await fails(() => blocking.set('kept', refused), 'invalid-argument', `blocking ${what}`);
      }
      equal(await collect(store.keys()), ['kept'], 'keys');
      equal(await store.get('kept'), values.nth(1), 'the value that was there');
    },
  },
  {
    name: 'refuses an update to a value that it cannot carry',
    factory: 'copies',
    needs: ['conditional'],
    run: async ({ store, values }) => {
      await store.set('kept', values.nth(1));
      for (const refused of values.refused)
        await fails(() => store.update('kept', () => refused), 'invalid-argument', 'update');
      equal(await store.get('kept'), values.nth(1), 'the value that was there');
    },
  },
];
