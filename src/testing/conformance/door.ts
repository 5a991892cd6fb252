import { Call } from '../../store/call.ts';
import type { Origin } from '../../store/entry.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { CommitOutcome, Primitives, Write } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { defined, equal, fails } from '../assert.ts';
import { type Case, collect } from './case.ts';
import { Follower, sameState, stateOf } from './follower.ts';

const ORIGIN: Origin = { store: 'source', epoch: 'epoch ☃', rev: 7, version: 'source.7' };

/** The store as layers and compositions see it. */
class Door {
  readonly #primitives: Primitives<unknown>;

  constructor(store: Store<unknown>) {
    this.#primitives = primitivesOf(store, 'test');
  }

  #call(): Call {
    return Call.background(this.#primitives.env, 'test');
  }

  async commit(...writes: Write<unknown>[]): Promise<CommitOutcome> {
    return this.#primitives.commit(writes, this.#call());
  }

  async get(key: string): Promise<unknown> {
    return (await this.#primitives.readOne(key, this.#call()))?.value;
  }

  async keys(from: string, to: string): Promise<string[]> {
    const bounds = { lower: { key: from, inclusive: true }, upper: { key: to, inclusive: false } };
    const range = { ...bounds, reverse: false, limit: Number.POSITIVE_INFINITY };
    return (await collect(this.#primitives.scanKeys(range, this.#call()))).flat();
  }
}

/** What layers, compositions and replication rely on beneath the public methods. */
export const door: readonly Case[] = [
  {
    name: 'holds reserved keys, and shows them to nobody else',
    run: async ({ store, value }) => {
      const inside = new Door(store);
      await store.set('a', value(1));
      await inside.commit(
        { type: 'set', key: '\u0000note', value: value(2) },
        { type: 'set', key: '\u0000note:b', value: value(3) },
      );
      equal(await inside.get('\u0000note'), value(2), 'read through the door');
      equal(
        await inside.keys('\u0000note', '\u0000notf'),
        ['\u0000note', '\u0000note:b'],
        'scanned',
      );
      equal(await collect(store.keys()), ['a'], 'keys');
      equal(await collect(store.keys({ lt: 'b', reverse: true })), ['a'], 'keys backwards');
      equal((await collect(store.list({ gte: '', limit: 5 }))).length, 1, 'list');
      await fails(() => store.get('\u0000note'), 'invalid-argument', 'get');
      equal(await store.clear(), 1, 'clear');
      equal(await inside.get('\u0000note:b'), value(3), 'after a clear');
      await inside.commit({ type: 'delete', key: '\u0000note' });
      equal(await inside.get('\u0000note'), undefined, 'after its delete');
    },
  },
  {
    name: 'does not show reserved keys in its feed',
    needs: ['feed'],
    run: async (t) => {
      const { store, value } = t;
      const inside = new Door(store);
      await inside.commit({ type: 'set', key: '\u0000note', value: value(1) });
      await store.set('a', value(1));
      const follower = new Follower(t, store, { after: 'start' });
      await follower.step();
      equal([...follower.state.keys()], ['a'], 'from the start');
      await inside.commit({ type: 'set', key: '\u0000note', value: value(2) });
      await inside.commit({ type: 'delete', key: '\u0000note' });
      const { rev } = await store.set('b', value(2));
      while (!follower.state.has('b')) await follower.step();
      equal(follower.commits.at(-1)?.to, rev, 'the revision it goes to');
      sameState(follower.state, await stateOf(store), 'the state');
      await follower.stop();
    },
  },
  {
    name: 'takes keys that are longer than those of its users, for prefixes',
    run: async ({ store, value }) => {
      const inside = new Door(store);
      const key = `\u0000${'k'.repeat(store.capabilities.maxKeyBytes + 127)}`;
      await inside.commit({ type: 'set', key, value: value(1) });
      equal(await inside.get(key), value(1), 'the value');
    },
  },
  {
    name: 'keeps the origin of a copy, and its time of writing',
    needs: ['records'],
    run: async ({ store, value }) => {
      const write = { type: 'set', key: 'a', value: value(1), origin: ORIGIN } as const;
      const { outcomes } = await new Door(store).commit({ ...write, modifiedAt: 5_000 });
      const entry = defined(await store.getEntry('a'), 'an entry');
      equal(entry.origin, ORIGIN, 'the origin');
      equal(entry.modifiedAt, 5_000, 'the time of writing');
      equal(entry.value, value(1), 'the value');
      equal(outcomes[0]?.entry?.version, entry.version, 'the version');
      equal((await collect(store.list()))[0]?.origin, ORIGIN, 'the origin in a list');
      await store.set('a', value(2));
      equal((await store.getEntry('a'))?.origin, undefined, 'after a write of its own');
    },
  },
  {
    name: 'lets a copy replace an immutable entry',
    needs: ['records'],
    run: async ({ store, value }) => {
      await store.set('a', value(1), { immutable: true });
      const write = { type: 'set', key: 'a', value: value(2), immutable: true } as const;
      await fails(() => new Door(store).commit(write), 'conflict', 'without an origin');
      await new Door(store).commit({ ...write, origin: ORIGIN });
      equal(await store.get('a'), value(2), 'the value');
    },
  },
  {
    name: 'gives origins in its feed',
    needs: ['feed'],
    run: async (t) => {
      const { store, value } = t;
      const follower = new Follower(t, store, { after: await store.cursor() });
      await new Door(store).commit(
        { type: 'set', key: 'a', value: value(1), origin: ORIGIN },
        { type: 'set', key: 'b', value: value(2) },
      );
      await follower.catchUp(store);
      equal(follower.state.get('a')?.origin, ORIGIN, 'of the copy');
      equal(follower.state.get('b')?.origin, undefined, 'of the other');
      sameState(follower.state, await stateOf(store), 'the state');
      await follower.stop();
    },
  },
  {
    name: 'keeps origins and reserved keys across a reopening',
    needs: ['records'],
    factory: 'reopen',
    run: async ({ store, value, reopen }) => {
      await new Door(store).commit(
        { type: 'set', key: 'a', value: value(1), origin: ORIGIN },
        { type: 'set', key: '\u0000note', value: value(2) },
      );
      const again = await reopen(store);
      equal((await again.getEntry('a'))?.origin, ORIGIN, 'the origin');
      equal(await new Door(again).get('\u0000note'), value(2), 'the reserved key');
    },
  },
];
