import { defined, equal, fails } from '../assert.ts';
import { type Case, collect } from './case.ts';
import { blockingOf } from './methods.ts';

/** Writes that happen only over the state they expect. */
export const conditional: readonly Case[] = [
  {
    name: 'refuses as unsupported the conditions that it does not offer',
    run: async ({ store, value }) => {
      const { conditional: offered } = store.capabilities;
      const { version } = await store.set('a', value(1));
      if (offered !== 'all')
        await fails(() => store.delete('a', { if: { version } }), 'unsupported', 'delete if');
      if (offered === 'none' || offered === 'absent')
        await fails(() => store.set('a', value(2), { if: { version } }), 'unsupported', 'set if');
      if (offered === 'none')
        await fails(() => store.set('b', value(2), { if: 'absent' }), 'unsupported', 'if absent');
      if (offered !== 'all')
        await fails(() => store.update('a', () => value(2)), 'unsupported', 'update');
      equal(await collect(store.keys()), ['a'], 'keys');
      equal(await store.get('a'), value(1), 'the value');
    },
  },
  {
    name: 'sets a key only when it is absent',
    needs: ['absent'],
    run: async ({ store, value }) => {
      await store.set('a', value(1), { if: 'absent' });
      await fails(() => store.set('a', value(2), { if: 'absent' }), 'conflict', 'a second set', {
        key: 'a',
        operation: 'set',
      });
      equal(await store.get('a'), value(1), 'the value');
      await store.delete('a');
      await store.set('a', value(3), { if: 'absent' });
      equal(await store.get('a'), value(3), 'the value after a delete');
    },
  },
  {
    name: 'sets and deletes only over the version named',
    needs: ['conditional'],
    run: async ({ store, value }) => {
      const first = await store.set('a', value(1));
      const second = await store.set('a', value(2), { if: { version: first.version } });
      const stale = { if: { version: first.version } };
      await fails(() => store.set('a', value(3), stale), 'conflict', 'set over a stale version', {
        key: 'a',
      });
      await fails(() => store.delete('a', stale), 'conflict', 'delete of a stale version', {
        key: 'a',
        operation: 'delete',
      });
      equal(await store.get('a'), value(2), 'the value');
      equal(await store.delete('a', { if: { version: second.version } }), true, 'delete');
      equal(await store.has('a'), false, 'has');
    },
  },
  {
    name: 'takes no version of a former life of a key, nor of another key',
    needs: ['conditional'],
    run: async ({ store, value }) => {
      const old = { if: { version: (await store.set('a', value(1))).version } };
      await store.delete('a');
      await fails(() => store.set('a', value(1), old), 'conflict', 'set over a deleted key');
      await fails(() => store.delete('a', old), 'conflict', 'delete of a deleted key');
      await store.set('a', value(1));
      await fails(() => store.set('a', value(1), old), 'conflict', 'set over a key made anew');
      const other = { if: { version: (await store.set('b', value(1))).version } };
      await fails(() => store.set('a', value(1), other), 'conflict', "another key's version");
      await fails(
        () => store.set('none', value(1), { if: { version: '' } }),
        'conflict',
        'no version',
      );
    },
  },
  {
    name: 'lets exactly one of many win that want a key absent',
    needs: ['absent'],
    run: async ({ store, value }) => {
      const tries = await Promise.allSettled(
        Array.from({ length: 30 }, (_, n) => store.set('a', value(n), { if: 'absent' })),
      );
      const winners = tries.flatMap((one, n) => (one.status === 'fulfilled' ? [n] : []));
      equal(winners.length, 1, 'winners');
      equal(await store.get('a'), value(defined(winners[0], 'a winner')), 'the value');
    },
  },
  {
    name: 'lets exactly one of many win that replace one version',
    needs: ['conditional'],
    run: async ({ store, value }) => {
      for (let round = 0; round < 5; round++) {
        const { version } = await store.set('a', value(1_000 + round));
        const tries = await Promise.allSettled(
          Array.from({ length: 12 }, (_, n) => store.set('a', value(n), { if: { version } })),
        );
        const winners = tries.flatMap((one, n) => (one.status === 'fulfilled' ? [n] : []));
        equal(winners.length, 1, 'winners');
        equal(await store.get('a'), value(defined(winners[0], 'a winner')), 'the value');
      }
    },
  },
  {
    name: 'keeps conditions in the synchronous view',
    needs: ['conditional', 'blocking'],
    run: async ({ store, value }) => {
      const blocking = defined(blockingOf(store), 'a synchronous view');
      const { version } = blocking.set('a', value(1), { if: 'absent' });
      await fails(() => blocking.set('a', value(2), { if: 'absent' }), 'conflict', 'if absent');
      blocking.set('a', value(2), { if: { version } });
      await fails(() => blocking.delete('a', { if: { version } }), 'conflict', 'delete');
      equal(await store.get('a'), value(2), 'the value');
    },
  },
];
