import type { Range } from '../../store/operations.ts';
import type { Store } from '../../store/store.ts';
import { equal, fails } from '../assert.ts';
import { type Case, collect } from './case.ts';

const KEYS = ['a', 'a:', 'a:1', 'a:2', 'a:2:x', 'a;', 'b', 'b:1', 'é', '\uffff', '😀'];

async function filled(store: Store<unknown>, value: (n: number) => unknown): Promise<void> {
  await store.setMany(KEYS.map((key, n) => [key, value(n)] as const));
}

const RANGES: readonly (readonly [range: Range, expected: readonly string[]])[] = [
  [{}, KEYS],
  [{ prefix: 'a:' }, ['a:', 'a:1', 'a:2', 'a:2:x']],
  [{ prefix: '' }, KEYS],
  [{ prefix: 'none' }, []],
  [{ prefix: '\uffff' }, ['\uffff']],
  [{ prefix: '😀' }, ['😀']],
  [{ gt: 'a:1' }, KEYS.slice(3)],
  [{ gte: 'a:1' }, KEYS.slice(2)],
  [{ lt: 'a:1' }, ['a', 'a:']],
  [{ lte: 'a:1' }, ['a', 'a:', 'a:1']],
  [{ gt: 'a:1', lt: 'b' }, ['a:2', 'a:2:x', 'a;']],
  [{ gte: 'a:1', lte: 'b' }, ['a:1', 'a:2', 'a:2:x', 'a;', 'b']],
  [{ gt: 'a:1', gte: 'a:2' }, KEYS.slice(3)],
  [{ gt: 'a:2', gte: 'a:2' }, KEYS.slice(4)],
  [{ lt: 'a:2', lte: 'a:2' }, KEYS.slice(0, 3)],
  [{ gt: 'b', lt: 'a' }, []],
  [{ gt: 'a', lt: 'a' }, []],
  [{ gte: 'b', lte: 'b' }, ['b']],
  [{ gte: 'b', lt: 'b' }, []],
  [{ gt: '' }, KEYS],
  [{ lt: '' }, []],
  [{ gt: 'between', lt: 'é' }, []],
  [{ prefix: 'a:', gt: 'a:1' }, ['a:2', 'a:2:x']],
  [{ prefix: 'a:', lt: 'a:2' }, ['a:', 'a:1']],
  [{ prefix: 'a:', gt: 'b' }, []],
  [{ prefix: 'a:', gte: 'a', lte: 'z' }, ['a:', 'a:1', 'a:2', 'a:2:x']],
];

/** Keys and entries in order, wholly or in part. */
export const range: readonly Case[] = [
  {
    name: 'gives the keys of a range, in order and backwards, whole or limited',
    run: async ({ store, value }) => {
      await filled(store, value);
      for (const [bounds, expected] of RANGES) {
        const what = JSON.stringify(bounds);
        equal(await collect(store.keys(bounds)), expected, `keys ${what}`);
        const listed = await collect(store.list(bounds));
        equal(
          listed.map(({ key }) => key),
          expected,
          `list ${what}`,
        );
        const backwards = [...expected].reverse();
        equal(
          await collect(store.keys({ ...bounds, reverse: true })),
          backwards,
          `reverse ${what}`,
        );
        for (const limit of [0, 1, 2, 50]) {
          const few = { ...bounds, limit };
          equal(await collect(store.keys(few)), expected.slice(0, limit), `limit ${limit} ${what}`);
          equal(
            await collect(store.keys({ ...few, reverse: true })),
            backwards.slice(0, limit),
            `reverse limit ${limit} ${what}`,
          );
        }
      }
    },
  },
  {
    name: 'lists entries as getEntry gives them',
    run: async ({ store, value }) => {
      await filled(store, value);
      for (const entry of await collect(store.list()))
        equal(entry, await store.getEntry(entry.key), entry.key);
    },
  },
  {
    name: 'lists thousands of entries, page after page',
    run: async ({ store, value }) => {
      const keys = Array.from({ length: 3_000 }, (_, n) => `k${String(n).padStart(4, '0')}`);
      await store.setMany(keys.map((key, n) => [key, value(n)] as const));
      equal(await collect(store.keys()), keys, 'keys');
      equal(await collect(store.keys({ reverse: true })), keys.toReversed(), 'backwards');
      const listed = await collect(store.list({ gte: 'k0500', limit: 2_000 }));
      equal(
        listed.map(({ key }) => key),
        keys.slice(500, 2_500),
        'a part',
      );
      equal(listed[1_234]?.value, value(1_734), 'one of the values');
    },
  },
  {
    name: 'pages by the last key seen',
    run: async ({ store, value }) => {
      await filled(store, value);
      for (const reverse of [false, true]) {
        const seen: string[] = [];
        for (;;) {
          const last = seen.at(-1);
          const beyond = last === undefined ? {} : reverse ? { lt: last } : { gt: last };
          const page = await collect(store.keys({ ...beyond, reverse, limit: 2 }));
          if (page.length === 0) break;
          seen.push(...page);
        }
        equal(seen, reverse ? KEYS.toReversed() : KEYS, reverse ? 'backwards' : 'forwards');
      }
    },
  },
  {
    name: 'can be left early, and begun again',
    run: async ({ store, value }) => {
      await filled(store, value);
      const all = store.keys();
      for await (const key of all) if (key === 'a:1') break;
      equal(await collect(all), KEYS, 'the same iterable again');
      const steps = store.list()[Symbol.asyncIterator]();
      await steps.next();
      await steps.return?.();
      equal(await steps.next(), { done: true, value: undefined }, 'a step after the end');
    },
  },
  {
    name: 'iterates twice at once',
    run: async ({ store, value }) => {
      await filled(store, value);
      const all = store.keys();
      const [one, two] = await Promise.all([collect(all), collect(all)]);
      equal(one, KEYS, 'the first');
      equal(two, KEYS, 'the second');
    },
  },
  {
    name: 'lists every key although they are deleted as they are seen',
    run: async ({ store, value }) => {
      const keys = Array.from({ length: 600 }, (_, n) => `k${String(n).padStart(4, '0')}`);
      await store.setMany(keys.map((key, n) => [key, value(n)] as const));
      const seen: string[] = [];
      for await (const { key } of store.list()) {
        seen.push(key);
        if (seen.length % 20 === 0) await store.deleteMany(seen.slice(-20));
      }
      equal(seen, keys, 'the keys');
      equal(await collect(store.keys()), [], 'keys left');
    },
  },
  {
    name: 'lists what stays, exactly once, while others come and go',
    run: async ({ store, value }) => {
      const stay = Array.from({ length: 900 }, (_, n) => `k${String(n).padStart(4, '0')}`);
      await store.setMany(stay.map((key, n) => [key, value(n)] as const));
      const seen: string[] = [];
      let n = 0;
      for await (const key of store.keys()) {
        seen.push(key);
        if (n++ % 30 !== 0) continue;
        await store.set(`k${String(n).padStart(4, '0')}x`, value(n));
        await store.delete(`k${String(n - 30).padStart(4, '0')}x`);
        await store.set(key, value(n + 1));
      }
      equal(
        seen.filter((key) => !key.endsWith('x')),
        stay,
        'the keys that stayed',
      );
      equal(new Set(seen).size, seen.length, 'each once');
    },
  },
  {
    name: 'refuses ranges that are none',
    run: async ({ store }) => {
      const bad: object[] = [
        ...[-1, 1.5, Number.NaN, '1', null].map((limit) => ({ limit })),
        ...[1, 'yes', null].map((reverse) => ({ reverse })),
        ...['prefix', 'gt', 'gte', 'lt', 'lte'].flatMap((name) =>
          [1, null, {}, 'a\ud800'].map((bound) => ({ [name]: bound })),
        ),
      ];
      for (const options of bad) {
        const what = Object.entries(options).join();
        await fails(() => collect(store.list(options)), 'invalid-argument', `list ${what}`, {
          operation: 'list',
        });
        await fails(() => collect(store.keys(options)), 'invalid-argument', `keys ${what}`, {
          operation: 'keys',
        });
      }
      await fails(() => store.clear({ prefix: 'a\ud800' }), 'invalid-argument', 'clear');
    },
  },
];
