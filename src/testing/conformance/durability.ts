import { Call } from '../../store/call.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { defined, equal, fails, ok } from '../assert.ts';
import { type Case, collect } from './case.ts';
import { Follower, sameState, stateOf } from './follower.ts';

async function idOf(store: Store<unknown>): Promise<string | undefined> {
  const { feed } = primitivesOf(store);
  return (await feed?.state(Call.background(systemEnv, 'test')))?.storeId;
}

/** What outlives a close. */
export const durability: readonly Case[] = [
  {
    name: 'holds every entry as it was, after it is closed and opened again',
    needs: ['records'],
    factory: 'reopen',
    run: async ({ store, values, value, reopen }) => {
      const special = values.special();
      for (const [n, one] of special.entries()) await store.set(`special${n}`, one);
      await store.set('meta', value(1), { meta: { a: [1, null] } });
      await store.set('fixed', value(2), { immutable: true });
      if (store.capabilities.ttl) await store.set('long', value(3), { ttlMs: 3_600_000 });
      await store.set('gone', value(4));
      await store.delete('gone');
      const before = await stateOf(store);
      const again = await reopen(store);
      sameState(await stateOf(again), before, 'the state');
      equal(await again.has('gone'), false, 'what was deleted');
      await fails(() => again.set('fixed', value(9)), 'conflict', 'an immutable entry');
      await fails(() => store.get('meta'), 'closed', 'the former handle');
    },
  },
  {
    name: 'goes on with versions and revisions where it stopped',
    needs: ['records'],
    factory: 'reopen',
    run: async ({ store, value, reopen }) => {
      const versions: string[] = [];
      const revs: number[] = [];
      let open = store;
      for (let n = 0; n < 4; n++) {
        for (const key of ['a', 'b', 'a']) {
          const head = await open.set(key, value(1));
          versions.push(head.version);
          if (head.rev !== undefined) revs.push(head.rev);
        }
        await open.delete('a');
        open = await reopen(open);
      }
      equal(new Set(versions).size, versions.length, 'distinct versions');
      equal(
        revs,
        [...new Set(revs)].sort((a, b) => a - b),
        'revisions that grow',
      );
    },
  },
  {
    name: 'keeps conditions across a reopening',
    needs: ['conditional'],
    factory: 'reopen',
    run: async ({ store, value, reopen }) => {
      const { version } = await store.set('a', value(1));
      const again = await reopen(store);
      await fails(() => again.set('a', value(2), { if: 'absent' }), 'conflict', 'if absent');
      await again.set('a', value(2), { if: { version } });
      equal(await again.get('a'), value(2), 'the value');
    },
  },
  {
    name: 'keeps its id and its head',
    needs: ['feed'],
    factory: 'reopen',
    run: async ({ store, value, reopen }) => {
      await store.set('a', value(1));
      const [id, cursor] = [await idOf(store), await store.cursor()];
      const again = await reopen(store);
      equal(await idOf(again), id, 'the id');
      equal(await again.cursor(), cursor, 'the head');
    },
  },
  {
    name: 'goes on from every cursor of an earlier opening, deletes included',
    needs: ['feed'],
    factory: 'reopen',
    run: async (t) => {
      const { value, reopen } = t;
      let { store } = t;
      const stops = [{ after: await store.cursor(), state: await stateOf(store) }];
      for (let n = 0; n < 24; n++) {
        if (n % 3 === 2) await store.delete(`k${(n * 5) % 7}`);
        else
          await store.setMany([
            [`k${n % 7}`, value(n)],
            [`m${n % 3}`, value(n)],
          ]);
        stops.push({ after: await store.cursor(), state: await stateOf(store) });
        if (n % 8 === 7) store = await reopen(store);
      }
      const now = await stateOf(store);
      for (const { after, state } of stops) {
        const follower = new Follower(t, store, { after }, state);
        await follower.catchUp(store);
        sameState(follower.state, now, 'the state');
        await follower.stop();
      }
    },
  },
  {
    name: 'hides what expired while it was closed',
    needs: ['ttl'],
    factory: 'reopen',
    run: async ({ store, value, pass, reopen }) => {
      await store.set('short', value(1), { ttlMs: 30 });
      await store.set('long', value(2), { ttlMs: 3_600_000 });
      await store.close();
      await pass(40);
      const again = await reopen(store);
      equal(await collect(again.keys()), ['long'], 'keys');
      equal(await again.delete('short'), false, 'delete');
      ok((defined(await again.getEntry('long'), 'an entry').expiresAt ?? 0) > 0, 'the other end');
    },
  },
];
