import type { Cursor } from '../../store/entry.ts';
import { fromCursor, toCursor } from '../../store/feed/cursor.ts';
import type { Position } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { equal, fails, ok } from '../assert.ts';
import type { Case, CaseContext } from './case.ts';
import { Follower, next, quiet, type State, sameState, stateOf } from './follower.ts';

/** Writes some of everything; gives the state at each cursor on the way. */
async function history(t: CaseContext, rounds: number): Promise<Map<Cursor, State>> {
  const { store, value } = t;
  const states = new Map<Cursor, State>();
  for (let n = 0; n < rounds; n++) {
    if (n % 4 === 3) await store.delete(`k${(n * 7) % 11}`);
    else if (n % 7 === 5)
      await store.setMany([
        [`k${n % 11}`, value(n)],
        [`m${n % 5}`, value(n)],
      ]);
    else await store.set(`k${(n * 5) % 11}`, value(n), { meta: { n } });
    states.set(await store.cursor(), await stateOf(store));
  }
  return states;
}

function firstStep(store: Store<unknown>, after: Cursor): Promise<unknown> {
  return store.watch({ after })[Symbol.asyncIterator]().next();
}

function altered(cursor: Cursor, by: (position: Position) => Partial<Position>): Cursor {
  const position = fromCursor('test', cursor);
  return toCursor({ ...position, ...by(position) });
}

/** Cursors: where a reader stands, kept and passed back. */
export const resume: readonly Case[] = [
  {
    name: 'gives a cursor that changes with every commit, and with nothing else',
    needs: ['feed'],
    run: async ({ store, value }) => {
      const cursors = [await store.cursor()];
      equal(typeof cursors[0], 'string', 'it is a string');
      await store.set('a', value(1));
      cursors.push(await store.cursor());
      await store.get('a');
      await store.delete('none');
      equal(await store.cursor(), cursors[1], 'after reads');
      await store.delete('a');
      cursors.push(await store.cursor());
      equal(new Set(cursors).size, 3, 'distinct cursors');
    },
  },
  {
    name: 'goes on from every cursor, and arrives at the same state',
    needs: ['feed'],
    run: async (t) => {
      const { store } = t;
      const states = await history(t, 40);
      const now = await stateOf(store);
      for (const [after, state] of states) {
        const follower = new Follower(t, store, { after }, state);
        await follower.catchUp(store);
        sameState(follower.state, now, 'the state');
        await follower.stop();
      }
    },
  },
  {
    name: 'goes on from the cursor of every commit that a watch gave',
    needs: ['feed'],
    run: async (t) => {
      const { store } = t;
      const first = new Follower(t, store, { after: await store.cursor() });
      await history(t, 25);
      const stops: [Cursor, State][] = [];
      const head = await store.cursor();
      while (first.cursor !== head) {
        const { cursor } = await first.step();
        stops.push([cursor, new Map(first.state)]);
      }
      await first.stop();
      const now = await stateOf(store);
      for (const [after, state] of stops) {
        const again = new Follower(t, store, { after }, state);
        await again.catchUp(store);
        sameState(again.state, now, 'the state');
        await again.stop();
      }
    },
  },
  {
    name: 'goes on from the cursor of an empty store',
    needs: ['feed'],
    run: async (t) => {
      const { store, value } = t;
      const after = await store.cursor();
      await store.set('a', value(1));
      await store.set('b', value(2));
      await store.delete('a');
      const follower = new Follower(t, store, { after });
      await follower.catchUp(store);
      sameState(follower.state, await stateOf(store), 'the state');
      await follower.stop();
    },
  },
  {
    name: 'goes on from the cursors of a watch of a prefix',
    needs: ['feed'],
    run: async (t) => {
      const { store, value } = t;
      const prefix = 'a:';
      const first = new Follower(t, store, { after: await store.cursor(), prefix });
      for (let n = 0; n < 12; n++) {
        await store.set(`a:${n % 5}`, value(n));
        await store.set(`b:${n}`, value(n));
        if (n % 4 === 3) await store.delete(`a:${n % 5}`);
      }
      const last = await store.set('a:last', value(1));
      const stops: [Cursor, State][] = [];
      while ((first.commits.at(-1)?.to ?? 0) < (last.rev ?? 0)) {
        const { cursor } = await first.step();
        stops.push([cursor, new Map(first.state)]);
      }
      await first.stop();
      for (const [after, state] of stops.slice(0, -1)) {
        const again = new Follower(t, store, { after, prefix }, state);
        while ((again.commits.at(-1)?.to ?? 0) < (last.rev ?? 0)) await again.step();
        sameState(again.state, first.state, 'the state');
        await again.stop();
      }
    },
  },
  {
    name: 'waits at the head',
    needs: ['feed'],
    run: async (t) => {
      await t.store.set('a', t.value(1));
      await quiet(t, t.store.watch({ after: await t.store.cursor() })[Symbol.asyncIterator]());
    },
  },
  {
    name: 'brings a reader far behind up to date, deletes included',
    needs: ['feed'],
    run: async (t) => {
      const { store, value } = t;
      await store.setMany(Array.from({ length: 60 }, (_, n) => [`old${n}`, value(n)] as const));
      const after = await store.cursor();
      const state = await stateOf(store);
      for (let n = 0; n < 60; n += 2) await store.delete(`old${n}`);
      for (let n = 0; n < 40; n++)
        await store.setMany(
          Array.from({ length: 100 }, (_, i) => [`new${i}`, value(n * 100 + i)] as const),
        );
      const follower = new Follower(t, store, { after }, state);
      await follower.catchUp(store);
      sameState(follower.state, await stateOf(store), 'the state');
      await follower.stop();
    },
  },
  {
    name: 'begins a watch from the start and one from its cursor at the same place',
    needs: ['feed'],
    run: async (t) => {
      const { store, value } = t;
      await history(t, 12);
      const whole = new Follower(t, store, { after: 'start' });
      await whole.catchUp(store);
      await whole.stop();
      ok(whole.cursor !== undefined, 'there is a cursor');
      const head = await store.set('next', value(1));
      const steps = store.watch({ after: whole.cursor })[Symbol.asyncIterator]();
      const { value: commit } = await next(t, steps);
      equal(
        commit.writes.map(({ key }) => key),
        ['next'],
        'what came after',
      );
      equal(commit.to, head.rev, 'the revision');
      await steps.return?.();
    },
  },
  {
    name: 'refuses what is no cursor',
    needs: ['feed'],
    run: async ({ store }) => {
      for (const bad of ['', 'x', 'now', '1', 'a.b', 'a.b.c.d', 'a.!.c', 'ü.1.c', 5, null, {}])
        await fails(() => firstStep(store, bad as Cursor), 'invalid-argument', `cursor ${bad}`, {
          operation: 'watch',
        });
    },
  },
  {
    name: 'says cursor-expired where it cannot prove that nothing is missing',
    needs: ['feed'],
    run: async (t) => {
      const { store, value, another } = t;
      await history(t, 10);
      const cursor = await store.cursor();
      const other = await another();
      for (let n = 0; n < 10; n++) await other.set('a', value(n));
      const expired: Record<string, Cursor> = {
        'of another store': await other.cursor(),
        'of another epoch': altered(cursor, () => ({ epoch: 'another' })),
        'from the future': altered(cursor, ({ rev }) => ({ rev: rev + 1_000 })),
        'of a commit that was rewound, at the head': altered(cursor, () => ({ id: 'other' })),
        'of a commit that was rewound': altered(cursor, ({ rev }) => ({
          rev: rev - 2,
          id: 'other',
        })),
      };
      for (const [what, after] of Object.entries(expired))
        await fails(() => firstStep(store, after), 'cursor-expired', what);
    },
  },
];
