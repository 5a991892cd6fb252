import { defined, equal, fails, ok } from '../assert.ts';
import { allSettle, type Case, collect, settles } from './case.ts';
import { Follower, next, sameState, stateOf } from './follower.ts';

/** Two handles on the same data, as two processes or tabs have them. */
export const handles: readonly Case[] = [
  {
    name: 'sees what the other has acknowledged',
    factory: 'second',
    run: async ({ store, value, second }) => {
      await store.set('before', value(0));
      const other = await second(store);
      equal(await other.get('before'), value(0), 'what was there');
      for (let n = 0; n < 20; n++) {
        const [from, to] = n % 2 === 0 ? [store, other] : [other, store];
        const head = await from.set('a', value(n));
        equal(await to.getEntry('a'), { ...head, value: value(n) }, 'the entry');
        equal(await collect(to.keys()), ['a', 'before'], 'keys');
      }
      await other.delete('a');
      equal(await store.get('a'), undefined, 'a deleted key');
    },
  },
  {
    name: 'keeps conditions between them',
    needs: ['conditional'],
    factory: 'second',
    run: async ({ store, value, second }) => {
      const other = await second(store);
      const { version } = await store.set('a', value(1), { if: 'absent' });
      await fails(() => other.set('a', value(2), { if: 'absent' }), 'conflict', 'if absent');
      await other.set('a', value(2), { if: { version } });
      await fails(
        () => store.set('a', value(3), { if: { version } }),
        'conflict',
        'a stale version',
      );
      await fails(() => store.delete('a', { if: { version } }), 'conflict', 'a stale delete');
      equal(await store.get('a'), value(2), 'the value');
    },
  },
  {
    name: 'loses no update of both at once',
    needs: ['conditional'],
    factory: 'second',
    run: async (t) => {
      const { store, values, second } = t;
      const other = await second(store);
      const known = (one: unknown): string =>
        JSON.stringify(one instanceof Uint8Array ? [...one] : one);
      const order = new Map(Array.from({ length: 41 }, (_, n) => [known(values.nth(n)), n]));
      await store.set('a', values.nth(0));
      const updates = Array.from({ length: 40 }, (_, n) =>
        (n % 2 === 0 ? store : other).update('a', (before) =>
          values.nth(defined(order.get(known(before)), 'a number') + 1),
        ),
      );
      await allSettle(t, updates, 'the updates');
      equal(await store.get('a'), values.nth(40), 'the value after 40 steps');
      equal(await other.get('a'), values.nth(40), 'as the other sees it');
    },
  },
  {
    name: 'gives both the value that was stored first, when both load one',
    needs: ['conditional'],
    factory: 'second',
    run: async (t) => {
      const { store, value, second } = t;
      const other = await second(store);
      for (let round = 0; round < 5; round++) {
        const key = `k${round}`;
        const loading = [store, other].map((one, n) => one.getOrSet(key, async () => value(n)));
        const got = await settles(t, Promise.all(loading), 'the loads');
        equal(got[0], got[1], 'what both are given');
        equal(got[0], await store.get(key), 'what is stored');
      }
    },
  },
  {
    name: 'gives every commit of both one revision and version of its own',
    needs: ['records'],
    factory: 'second',
    run: async ({ store, value, second }) => {
      const other = await second(store);
      const heads = await Promise.all(
        Array.from({ length: 60 }, (_, n) =>
          (n % 2 === 0 ? store : other).set(`k${n % 5}`, value(n)),
        ),
      );
      equal(new Set(heads.map(({ version }) => version)).size, 60, 'distinct versions');
      if (heads[0]?.rev !== undefined)
        equal(new Set(heads.map(({ rev }) => rev)).size, 60, 'distinct revisions');
      sameState(await stateOf(store), await stateOf(other), 'both see the same');
    },
  },
  {
    name: 'shows the commits of both to the watchers of each',
    needs: ['feed'],
    factory: 'second',
    run: async (t) => {
      const { store, value, second } = t;
      const other = await second(store);
      equal(await other.cursor(), await store.cursor(), 'the head');
      const watching = [store, other].map(
        (one) => [one, new Follower(t, one, { after: 'start' })] as const,
      );
      await Promise.all(
        Array.from({ length: 80 }, (_, n) => {
          const writer = n % 2 === 0 ? store : other;
          return n % 5 === 4
            ? writer.delete(`k${n % 9}`)
            : writer.setMany([
                [`k${n % 9}`, value(n)],
                [`m${n % 4}`, value(n)],
              ]);
        }),
      );
      const now = await stateOf(store);
      for (const [one, follower] of watching) {
        await follower.catchUp(one);
        sameState(follower.state, now, 'the state');
        await follower.stop();
      }
    },
  },
  {
    name: 'wakes a watch that waits when the other writes',
    needs: ['feed'],
    factory: 'second',
    run: async (t) => {
      const { store, value, second } = t;
      const other = await second(store);
      const steps = store.watch({ after: await store.cursor() })[Symbol.asyncIterator]();
      const waiting = next(t, steps);
      await t.pass(5);
      const head = await other.set('a', value(1));
      const { value: commit } = await waiting;
      equal(
        commit.writes.map(({ key }) => key),
        ['a'],
        'the keys',
      );
      equal(commit.to, head.rev, 'the revision');
      await steps.return?.();
    },
  },
  {
    name: "resumes at one from the other's cursor",
    needs: ['feed'],
    factory: 'second',
    run: async (t) => {
      const { store, value, second } = t;
      const other = await second(store);
      await store.set('a', value(1));
      const after = await store.cursor();
      const state = await stateOf(store);
      await other.set('b', value(2));
      await store.delete('a');
      const follower = new Follower(t, other, { after }, state);
      await follower.catchUp(other);
      sameState(follower.state, await stateOf(store), 'the state');
      await follower.stop();
    },
  },
  {
    name: 'goes on when the other is closed',
    factory: 'second',
    run: async ({ store, value, second }) => {
      const other = await second(store);
      await other.set('a', value(1));
      await other.close();
      equal(await store.get('a'), value(1), 'what the other wrote');
      await store.set('b', value(2));
      equal((await collect(store.keys())).length, 2, 'keys');
      await fails(() => other.get('a'), 'closed', 'the other');
      const third = await second(store);
      ok(await third.has('b'), 'a third handle sees it');
    },
  },
];
