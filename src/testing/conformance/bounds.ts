import { defined, equal, fails } from '../assert.ts';
import { type Case, collect } from './case.ts';
import { bounded } from './methods.ts';

/** Signals and timeouts: nothing hangs, and what is given up is not applied. */
export const bounds: readonly Case[] = [
  {
    name: 'does nothing in any method whose signal is already aborted',
    run: async ({ store, value }) => {
      const { version } = await store.set('a', value(1));
      const reason = new Error('enough');
      const given = { signal: AbortSignal.abort(reason) };
      for (const [name, run] of Object.entries(bounded(store, 'a', value(2), given))) {
        const error = await fails(run, 'aborted', name, { operation: name });
        equal(error.cause === reason, true, `${name} gives the reason as cause`);
      }
      equal((await store.getEntry('a'))?.version, version, 'the version');
    },
  },
  {
    name: 'takes a signal that is never aborted, and a timeout of any length',
    run: async ({ store, value }) => {
      const { signal } = new AbortController();
      for (const timeoutMs of [60_000, 2 ** 40, Number.POSITIVE_INFINITY]) {
        const { watch, ...calls } = bounded(store, 'a', value(1), { signal, timeoutMs });
        for (const run of Object.values(calls)) await run();
      }
      equal(await store.get('a'), value(1), 'the value');
    },
  },
  {
    name: 'keeps no hold of a signal after the call',
    run: async ({ store, value }) => {
      const { signal } = new AbortController();
      let held = 0;
      const { addEventListener, removeEventListener } = signal;
      signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
        held++;
        addEventListener.apply(signal, args);
      };
      signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
        held--;
        removeEventListener.apply(signal, args);
      };
      const { watch, ...calls } = bounded(store, 'a', value(1), { signal });
      for (const run of Object.values(calls)) await run();
      equal(held, 0, 'listeners left');
    },
  },
  {
    name: 'ends an iteration whose signal is aborted',
    run: async ({ store, value }) => {
      await store.setMany(Array.from({ length: 10 }, (_, n) => [`k${n}`, value(n)] as const));
      for (const method of ['list', 'keys'] as const) {
        const controller = new AbortController();
        const { signal } = controller;
        const steps = store[method]({ signal })[Symbol.asyncIterator]();
        await steps.next();
        controller.abort();
        const rest = async (): Promise<unknown> => {
          // A page that is already there may be given; an end is not a failure to stop.
          for (let i = 0; i < 2_000; i++) if ((await steps.next()).done) return 'the end';
          return 'more';
        };
        const outcome = await rest().catch((error: unknown) => error);
        if (outcome !== 'the end')
          await fails(() => Promise.reject(outcome), 'aborted', method, { operation: method });
      }
    },
  },
  {
    name: 'ends a watch whose signal is aborted while it waits',
    needs: ['feed'],
    run: async ({ store, value, pass }) => {
      const controller = new AbortController();
      const steps = store.watch({ signal: controller.signal })[Symbol.asyncIterator]();
      const waiting = steps.next().catch((error: unknown) => error);
      await pass(5);
      controller.abort();
      await fails(async () => Promise.reject(await waiting), 'aborted', 'watch', {
        operation: 'watch',
      });
      await store.set('a', value(1));
    },
  },
  {
    name: 'ends a step of a watch after its timeout, when one is given',
    needs: ['feed'],
    run: async ({ store, value, pass }) => {
      const steps = store.watch({ timeoutMs: 20 })[Symbol.asyncIterator]();
      await store.cursor();
      await store.set('a', value(1));
      equal((await steps.next()).value?.writes.length, 1, 'a step in time');
      const waiting = steps.next().catch((error: unknown) => error);
      await pass(60);
      await fails(async () => Promise.reject(await waiting), 'timeout', 'watch', {
        operation: 'watch',
      });
    },
  },
  {
    name: 'bounds an update whose function never ends, and applies nothing',
    needs: ['conditional'],
    run: async ({ store, value, pass }) => {
      const { version } = await store.set('a', value(1));
      let end = (_: unknown): void => {};
      const endless = new Promise<unknown>((resolve) => {
        end = resolve;
      });
      const updating = store.update('a', () => endless, { timeoutMs: 20 }).catch((error) => error);
      await pass(60);
      await fails(async () => Promise.reject(await updating), 'timeout', 'update', { key: 'a' });
      // The function does end, too late.
      end(value(2));
      await pass(20);
      equal((await store.getEntry('a'))?.version, version, 'the version');
    },
  },
  {
    name: 'bounds a load that never ends, for each caller by itself',
    run: async ({ store, value, pass }) => {
      let end = (_: unknown): void => {};
      const endless = new Promise<unknown>((resolve) => {
        end = resolve;
      });
      const loader = (): Promise<unknown> => endless;
      const brief = store.getOrSet('a', loader, { timeoutMs: 20 }).catch((error) => error);
      const patient = store.getOrSet('a', loader, { timeoutMs: 3_600_000 });
      await pass(60);
      await fails(async () => Promise.reject(await brief), 'timeout', 'getOrSet', { key: 'a' });
      end(value(1));
      equal(await patient, value(1), 'what the patient caller gets');
      equal(defined(await store.get('a'), 'a value'), value(1), 'stored');
    },
  },
  {
    name: 'is as good as new after calls were given up',
    run: async ({ store, value }) => {
      const controller = new AbortController();
      const { signal } = controller;
      const calls = Array.from({ length: 20 }, (_, n) => store.set(`k${n}`, value(n), { signal }));
      controller.abort();
      const outcomes = await Promise.allSettled(calls);
      for (const [n, outcome] of outcomes.entries()) {
        const stored = await store.get(`k${n}`);
        if (outcome.status === 'fulfilled') equal(stored, value(n), 'what was acknowledged');
        else {
          const error = await fails(
            () => Promise.reject(outcome.reason),
            ['aborted', 'unknown-outcome'],
            'a set given up',
          );
          if (error.code === 'aborted') equal(stored, undefined, 'what was given up');
        }
      }
      await store.set('a', value(1));
      equal(await store.get('a'), value(1), 'a later value');
      equal((await collect(store.keys({ prefix: 'a' }))).length, 1, 'keys');
    },
  },
];
