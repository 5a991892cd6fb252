import { defined, equal, fails, ok } from '../assert.ts';
import type { Case } from './case.ts';
import { Follower, living, next, quiet, sameState, stateOf } from './follower.ts';

/** Commits in order, without gaps, that reproduce the store. */
export const feed: readonly Case[] = [
  {
    name: 'refuses as unsupported a feed that it does not offer',
    run: async ({ store }) => {
      if (store.capabilities.feed) return;
      await fails(() => store.cursor(), 'unsupported', 'cursor', { operation: 'cursor' });
      const first = (): unknown => store.watch()[Symbol.asyncIterator]().next();
      await fails(first, 'unsupported', 'watch', { operation: 'watch' });
    },
  },
  {
    name: 'gives what is written after the call, also before the first step',
    needs: ['feed'],
    run: async (t) => {
      const { store, value } = t;
      await store.set('before', value(0));
      const steps = store.watch()[Symbol.asyncIterator]();
      const head = await store.set('a', value(1), { meta: { n: 1 } });
      const { value: commit } = await next(t, steps);
      equal(commit.writes, [{ ...head, type: 'set', value: value(1) }], 'the writes');
      equal(commit.to, head.rev, 'the revision it goes to');
      equal(commit.cursor, await store.cursor(), 'its cursor is the head');
      await steps.return?.();
    },
  },
  {
    name: 'gives each commit by itself to a watcher that keeps up',
    needs: ['feed', 'conditional', 'batch'],
    run: async (t) => {
      const { store, value } = t;
      const follower = new Follower(t, store, { after: await store.cursor() });
      const kinds = async (run: () => unknown): Promise<unknown> => {
        await run();
        return (await follower.step()).writes.map(({ type, key }) => `${type} ${key}`);
      };
      equal(await kinds(() => store.set('a', value(1))), ['set a'], 'set');
      equal(await kinds(() => store.update('a', () => value(2))), ['set a'], 'update');
      equal(await kinds(() => store.getOrSet('b', () => value(3))), ['set b'], 'getOrSet');
      equal(await kinds(() => store.delete('a')), ['delete a'], 'delete');
      const pairs = ['x', 'y', 'z'].map((key, n) => [key, value(n)] as const);
      equal(await kinds(() => store.setMany(pairs)), ['set x', 'set y', 'set z'], 'setMany');
      equal(
        await kinds(() => store.deleteMany(['z', 'no', 'x'])),
        ['delete z', 'delete x'],
        'many',
      );
      equal(await kinds(() => store.update('b', () => undefined)), ['delete b'], 'update to none');
      equal(await kinds(() => store.clear()), ['delete y'], 'clear');
      await follower.stop();
    },
  },
  {
    name: 'gives a batch as one commit, in the order of the last writes',
    needs: ['feed', 'batch'],
    run: async (t) => {
      const { store, value } = t;
      await store.set('old', value(0));
      const follower = new Follower(t, store, { after: await store.cursor() });
      const { rev } = await store.batch([
        { type: 'set', key: 'z', value: value(1) },
        { type: 'set', key: 'a', value: value(2) },
        { type: 'delete', key: 'old' },
        { type: 'set', key: 'z', value: value(3) },
        { type: 'set', key: 'brief', value: value(4) },
        { type: 'delete', key: 'brief' },
        { type: 'set', key: 'm', value: value(5) },
      ]);
      const { writes, to } = await follower.step();
      equal(
        writes.map(({ key }) => key),
        ['a', 'old', 'z', 'm'],
        'the keys in order',
      );
      equal([to, ...writes.map((change) => change.rev)], Array(5).fill(rev), 'the revision');
      equal(living(follower.state, 0).get('z')?.value, value(3), 'the last value');
      await follower.stop();
    },
  },
  {
    name: 'makes no commit where nothing changes',
    needs: ['feed', 'conditional', 'batch'],
    run: async (t) => {
      const { store, value } = t;
      await store.set('fixed', value(1), { immutable: true });
      const cursor = await store.cursor();
      const steps = store.watch({ after: cursor })[Symbol.asyncIterator]();
      await store.delete('none');
      await store.deleteMany(['none', 'neither']);
      await store.batch([]);
      await store.clear({ prefix: 'none' });
      await store.update('none', () => undefined);
      await store.set('fixed', value(1), { immutable: true });
      await store.getOrSet('fixed', () => value(2));
      await fails(() => store.set('fixed', value(2)), 'conflict', 'an immutable entry');
      await fails(
        () => store.set('a', value(1), { if: { version: 'x' } }),
        'conflict',
        'a condition',
      );
      const half = { type: 'set', key: 'b', value: value(1) } as const;
      const failing = { type: 'delete', key: 'b', if: { version: 'x' } } as const;
      await fails(() => store.batch([half, failing]), 'conflict', 'a batch');
      if (store.capabilities.atomic !== 'key')
        await store.batch([half, { type: 'delete', key: 'b' }]);
      equal(await store.cursor(), cursor, 'the head');
      await quiet(t, steps);
    },
  },
  {
    name: 'gives the whole state first, from the start, and then what follows',
    needs: ['feed', 'ttl'],
    run: async (t) => {
      const { store, value } = t;
      await store.setMany(Array.from({ length: 30 }, (_, n) => [`k${n}`, value(n)] as const));
      await store.set('k1', value(100), { meta: { n: 1 }, ttlMs: 3_600_000 });
      await store.set('fixed', value(5), { immutable: true });
      await store.deleteMany(['k2', 'k3']);
      const follower = new Follower(t, store, { after: 'start' });
      await follower.catchUp(store);
      equal(follower.commits[0]?.from, 0, 'the first commit begins at 0');
      equal(follower.commits.length, 1, 'one commit for the whole state');
      sameState(follower.state, await stateOf(store), 'the state');
      await store.delete('fixed');
      await store.set('new', value(7));
      await follower.catchUp(store);
      sameState(follower.state, await stateOf(store), 'the state after more writes');
      await follower.stop();
    },
  },
  {
    name: 'misses nothing that is written to an empty store as a watch of it begins',
    needs: ['feed'],
    run: async (t) => {
      // The write comes at every moment of the watch's beginning.
      for (let turns = 0; turns < 24; turns++) {
        const store = await t.another();
        const follower = new Follower(t, store, { after: 'start' });
        const step = follower.step();
        for (let i = 0; i < turns; i++) await Promise.resolve();
        const head = await store.set('a', t.value(turns));
        const { writes } = await step;
        equal(
          writes.map(({ key, rev }) => [key, rev]),
          [['a', head.rev]],
          `after ${turns} turns`,
        );
        await follower.stop();
      }
    },
  },
  {
    name: 'shows only keys with the prefix, and loses none behind many others',
    needs: ['feed'],
    run: async (t) => {
      const { store, value } = t;
      await store.set('a:1', value(1));
      await store.set('b:1', value(1));
      const after = await store.cursor();
      const steps = store.watch({ after, prefix: 'a:' })[Symbol.asyncIterator]();
      for (let n = 0; n < 50; n++) await store.set('b:1', value(n));
      const head = await store.set('a:2', value(2));
      const found: string[] = [];
      let to = -1;
      while (to < (head.rev ?? 0)) {
        const { value: commit } = await next(t, steps);
        if (to >= 0) equal(commit.from, to, 'where the commit begins');
        to = commit.to;
        found.push(...commit.writes.map(({ key }) => key));
      }
      equal(found, ['a:2'], 'the keys');
      await steps.return?.();
      const whole = new Follower(t, store, { after: 'start', prefix: 'a:' });
      await whole.step();
      equal([...whole.state.keys()].sort(), ['a:1', 'a:2'], 'the keys from the start');
      await whole.stop();
    },
  },
  {
    name: 'serves many watchers, each at its own pace',
    needs: ['feed'],
    run: async (t) => {
      const { store, value } = t;
      const after = await store.cursor();
      const followers = Array.from({ length: 8 }, () => new Follower(t, store, { after }));
      for (let n = 0; n < 60; n++) {
        await store.set(`k${n % 9}`, value(n));
        if (n % 10 === 0) await followers[n % 8]?.step();
      }
      for (const follower of followers) {
        await follower.catchUp(store);
        sameState(follower.state, await stateOf(store), 'the state');
        await follower.stop();
      }
    },
  },
  {
    name: 'shows states that were there, and no mixture, while writers go on',
    needs: ['feed', 'batch'],
    run: async (t) => {
      const { store, value } = t;
      const pair = async (n: number): Promise<unknown> =>
        n % 5 === 4
          ? store.deleteMany(['left', 'right'])
          : store.setMany([
              ['left', value(n)],
              [`other${n}`, value(n)],
              ['right', value(n)],
            ]);
      const writing = (async () => {
        for (let n = 0; n < 60; n++) await pair(n);
      })();
      const follower = new Follower(t, store, { after: 'start' });
      while (follower.commits.length === 0 || !follower.state.has('other58')) {
        await follower.step();
        const { left, right } = Object.fromEntries(follower.state);
        equal(left?.value, right?.value, 'two keys that are written together');
        equal(left?.rev, right?.rev, 'their revisions');
      }
      await writing;
      await follower.catchUp(store);
      sameState(follower.state, await stateOf(store), 'the state');
      await follower.stop();
    },
  },
  {
    name: 'orders the writes of many at once',
    needs: ['feed'],
    run: async (t) => {
      const { store, value } = t;
      const follower = new Follower(t, store, { after: await store.cursor() });
      const heads = await Promise.all(
        Array.from({ length: 120 }, (_, n) => store.set(`k${n % 7}`, value(n))),
      );
      const revs = heads.map((head) => defined(head.rev, 'a revision'));
      equal(new Set(revs).size, revs.length, 'one revision for each commit');
      await follower.catchUp(store);
      sameState(follower.state, await stateOf(store), 'the state');
      await follower.stop();
    },
  },
  {
    name: 'makes no commit of an expiry, and follows one all the same',
    needs: ['feed', 'ttl'],
    run: async (t) => {
      const { store, value, pass } = t;
      const follower = new Follower(t, store, { after: 'start' });
      await store.set('long', value(1), { ttlMs: 3_600_000 });
      const short = await store.set('short', value(2), { ttlMs: 40 });
      await follower.catchUp(store);
      const cursor = await store.cursor();
      await pass(60);
      equal(await store.cursor(), cursor, 'the head');
      const nowMs = defined(short.expiresAt, 'an end') + 1;
      sameState(living(follower.state, nowMs), await stateOf(store), 'the state');
      await store.set('short', value(3));
      await follower.catchUp(store);
      sameState(living(follower.state, nowMs), await stateOf(store), 'the state after a new life');
      await follower.stop();
    },
  },
  {
    name: 'does not show what expired before the watch began',
    needs: ['feed', 'ttl'],
    run: async (t) => {
      const { store, value, pass } = t;
      await store.set('short', value(1), { ttlMs: 20 });
      await store.set('kept', value(2));
      await pass(30);
      const follower = new Follower(t, store, { after: 'start' });
      await follower.catchUp(store);
      sameState(follower.state, await stateOf(store), 'the state');
      await follower.stop();
    },
  },
  {
    name: 'frees a watch that waits, when it is left',
    needs: ['feed'],
    run: async (t) => {
      const { store, value } = t;
      const steps = store.watch()[Symbol.asyncIterator]();
      const waiting = steps.next();
      await t.pass(5);
      await steps.return?.();
      equal((await waiting).done, true, 'the step that waited');
      equal((await steps.next()).done, true, 'a step after it');
      await store.set('a', value(1));
    },
  },
  {
    name: 'gives values of their own to each watcher',
    needs: ['feed'],
    factory: 'copies',
    run: async (t) => {
      const { store, values } = t;
      const { spoil } = values;
      if (spoil === undefined) return;
      const after = await store.cursor();
      await store.set('a', values.nth(1));
      for (let i = 0; i < 2; i++) {
        const follower = new Follower(t, store, { after });
        await follower.step();
        const entry = defined(follower.state.get('a'), 'an entry');
        equal(entry.value, values.nth(1), 'the value');
        spoil(entry.value);
        await follower.stop();
      }
      equal(await store.get('a'), values.nth(1), 'the value in the store');
      ok(true, 'values were spoilt');
    },
  },
];
