import type { Store } from '../../store/store.ts';
import { defined, equal, fails, ok } from '../assert.ts';
import { type Case, within } from './case.ts';
import { blockingCalls, blockingOf, bounded, WRITING } from './methods.ts';

const METHODS = [
  ...['get', 'getEntry', 'getMany', 'getEntries', 'has', 'hasMany', 'getOrSet', 'set', 'delete'],
  ...['setMany', 'deleteMany', 'clear', 'update', 'batch', 'list', 'keys', 'watch', 'cursor'],
];

function call(store: Store<unknown>, method: string, value: unknown): (() => unknown) | undefined {
  return bounded(store, 'a', value, {})[method];
}

/** What a store does as it closes, and after. */
export const closed: readonly Case[] = [
  {
    name: 'has a case here for each of its methods',
    run: async ({ store, value }) => {
      const known = Object.keys(bounded(store, 'a', value(1), {}));
      equal(
        known.filter((name) => !METHODS.includes(name)),
        [],
        'methods without a case',
      );
    },
  },
  ...METHODS.map(
    (method): Case => ({
      name: `fails with closed after its close: ${method}`,
      run: async ({ store, value }) => {
        const run = call(store, method, value(1));
        if (run === undefined) return;
        await store.close();
        await fails(run, 'closed', method, { operation: method });
      },
    }),
  ),
  ...METHODS.map(
    (method): Case => ({
      name: `settles when it closes meanwhile, done or closed: ${method}`,
      run: async (t) => {
        const { store, value } = t;
        await store.set('a', value(1));
        const run = call(store, method, value(2));
        if (run === undefined) return;
        const [outcome] = await within(
          10_000,
          Promise.all([settle(run), store.close()]),
          `${method} and close`,
        );
        if (outcome.status === 'rejected')
          await fails(() => Promise.reject(outcome.reason), 'closed', method);
        if (method === 'watch') equal(outcome.status, 'rejected', 'a watch that waited');
      },
    }),
  ),
  ...METHODS.filter((method) => WRITING.has(method)).map(
    (method): Case => ({
      name: `keeps what it acknowledged as it closed, and nothing else: ${method}`,
      factory: 'reopen',
      run: async (t) => {
        const { store, value, reopen } = t;
        if (method !== 'getOrSet') await store.set('a', value(1));
        const before = await store.getEntry('a');
        const run = call(store, method, value(2));
        if (run === undefined) return;
        const [outcome] = await Promise.all([settle(run), store.close()]);
        const after = await (await reopen(store)).getEntry('a');
        if (outcome.status === 'rejected') return equal(after, before, 'what was refused');
        const removes = ['delete', 'deleteMany', 'clear'].includes(method);
        equal(after?.value, removes ? undefined : value(2), 'what was acknowledged');
      },
    }),
  ),
  {
    name: 'ends iterations that have begun, with closed',
    run: async ({ store, value }) => {
      await store.setMany(Array.from({ length: 20 }, (_, n) => [`k${n}`, value(n)] as const));
      const begun = [store.list(), store.keys()].map((all) => all[Symbol.asyncIterator]());
      const fresh = [store.list(), store.keys()].map((all) => all[Symbol.asyncIterator]());
      for (const steps of begun) ok((await steps.next()).done !== true, 'there is a first step');
      await store.close();
      for (const steps of [...begun, ...fresh]) await fails(() => steps.next(), 'closed', 'a step');
    },
  },
  {
    name: 'ends every watch that waits, with closed',
    needs: ['feed'],
    run: async ({ store, value }) => {
      await store.set('a', value(1));
      const watches = [store.watch(), store.watch({ after: await store.cursor() })];
      watches.push(store.watch({ prefix: 'x' }));
      const waiting = watches.map((watch) => settle(() => watch[Symbol.asyncIterator]().next()));
      await Promise.resolve();
      await store.close();
      for (const outcome of await within(10_000, Promise.all(waiting), 'the watches')) {
        ok(outcome.status === 'rejected', 'a watch that waited fails');
        await fails(() => Promise.reject(outcome.reason), 'closed', 'watch');
      }
    },
  },
  {
    name: 'does not mind iterables that were never begun',
    run: async ({ store, value }) => {
      await store.set('a', value(1));
      const { feed } = store.capabilities;
      const idle = [store.list(), store.keys(), ...(feed ? [store.watch()] : [])];
      await store.close();
      for (const one of idle)
        await fails(() => one[Symbol.asyncIterator]().next(), 'closed', 'a first step');
    },
  },
  {
    name: 'can be closed twice, at once and later, and by await using',
    run: async ({ store, another }) => {
      await Promise.all([store.close(), store.close()]);
      await store.close();
      const other = await another();
      {
        await using scoped = other;
        ok((await scoped.get('a')) === undefined, 'it is open');
      }
      await fails(() => other.get('a'), 'closed', 'get');
    },
  },
  {
    name: 'fails with closed in the synchronous view too',
    needs: ['blocking'],
    run: async ({ store, value }) => {
      const blocking = defined(blockingOf(store), 'a synchronous view');
      await store.close();
      for (const [name, run] of Object.entries(blockingCalls(blocking, 'a', value(1))))
        await fails(run, 'closed', name);
      if (store.capabilities.feed) await fails(() => blocking.cursor(), 'closed', 'cursor');
    },
  },
  {
    name: 'leaves no timer behind',
    run: async ({ store, value, env, pass }) => {
      if (env === undefined) return;
      const { ttl } = store.capabilities;
      await store.set('a', value(1), ttl ? { ttlMs: 5_000 } : {});
      await store.get('a');
      await pass(1);
      await store.close();
      equal(env.pendingTimers, 0, 'pending timers');
    },
  },
];

async function settle(run: () => unknown): Promise<PromiseSettledResult<unknown>> {
  const [outcome] = await Promise.allSettled([(async () => run())()]);
  return outcome;
}
