import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Call } from '../../store/call.ts';
import type { Change, Entry } from '../../store/entry.ts';
import { isStrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Feed, Position } from '../../store/primitives.ts';
import type { StoreWithBlocking } from '../../store/store.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { memory } from './index.ts';

/** More than two pages of the index. */
const KEYS = 2_600;
const env = simulatedEnv();
let written = 0;

function feedOf(store: StoreWithBlocking<unknown>): Feed<unknown> {
  const { feed } = primitivesOf(store);
  if (feed === undefined) throw new Error('memory has a feed');
  return feed;
}

type State = Map<string, Entry<unknown>>;

function apply(state: State, changes: readonly Change<unknown>[]): void {
  for (const change of changes) {
    if (change.type === 'delete') state.delete(change.key);
    else {
      const { type: _, ...entry } = change;
      state.set(change.key, entry);
    }
  }
}

const living = (state: State): Entry<unknown>[] =>
  [...state.values()]
    .filter(({ expiresAt }) => expiresAt === undefined || expiresAt > env.now())
    .sort((a, b) => (a.key < b.key ? -1 : 1));

const action = fc.record({
  do: fc.constantFrom('set', 'set short', 'delete', 'clear', 'sweep'),
  key: fc.integer({ min: 0, max: KEYS + 50 }),
});

function act(store: StoreWithBlocking<unknown>, what: string, key: string): void {
  const { blocking } = store;
  if (what === 'set') blocking.set(key, ++written);
  else if (what === 'set short') blocking.set(key, 'short', { ttlMs: 1_000 });
  else if (what === 'delete') blocking.delete(key);
  else if (what === 'clear') blocking.clear({ prefix: `${key.slice(0, 3)}` });
  else env.advanceSync(31_000);
}

describe('the change index of memory', () => {
  it('gives exactly the state of the head to a reader that is overtaken by writers', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(action, { maxLength: 12 }), { maxLength: 6 }),
        fc.boolean(),
        async (between, fresh) => {
          const store = memory({ env, logBytes: 0 });
          const feed = feedOf(store);
          const call = Call.background(env, 'watch');
          store.blocking.setMany(Array.from({ length: KEYS }, (_, n) => [`k${n}`, n] as const));
          const { head } = await feed.state(call);
          const state: State = new Map();
          if (!fresh) {
            for (const entry of store.blocking.list()) state.set(entry.key, entry);
            // Enough for more than one page.
            for (let n = 0; n < KEYS; n += 2) store.blocking.set(`k${n}`, 'newer');
            for (let n = 1; n < KEYS; n += 8) store.blocking.delete(`k${n}`);
          }
          let end: Position | undefined;
          let pages = 0;
          for await (const page of feed.read(fresh ? undefined : head, call)) {
            apply(state, page.changes);
            end = page.end;
            if (end !== undefined) break;
            for (const { do: what, key } of between[pages++] ?? []) act(store, what, `k${key}`);
          }
          expect(end).toEqual((await feed.state(call)).head);
          expect(living(state)).toEqual(
            living(new Map([...store.blocking.list()].map((e) => [e.key, e]))),
          );
          await store.close();
        },
      ),
      { numRuns: 40 },
    );
  });

  it('tells a reader whose deletes were forgotten, and never leaves it with too much', async () => {
    const store = memory({ env, logBytes: 0, tombstoneBytes: 1_000 });
    const cursors: { state: State; position: Position }[] = [];
    const feed = feedOf(store);
    const call = Call.background(env, 'watch');
    for (let n = 0; n < 400; n++) {
      if (n % 2 === 0) store.blocking.set(`k${n % 91}`, n);
      else store.blocking.delete(`k${(n * 7) % 91}`);
      const state = new Map([...store.blocking.list()].map((entry) => [entry.key, entry]));
      cursors.push({ state, position: (await feed.state(call)).head });
    }
    let [resumed, expired] = [0, 0];
    for (const { state, position } of cursors) {
      try {
        for await (const page of feed.read(position, call)) apply(state, page.changes);
        expect(living(state)).toEqual([...store.blocking.list()]);
        resumed++;
      } catch (error) {
        if (!isStrataError(error, 'cursor-expired')) throw error;
        expired++;
      }
    }
    expect(resumed).toBeGreaterThan(10);
    expect(expired).toBeGreaterThan(10);
    await store.close();
  });

  it('forgets deletes by age', async () => {
    const store = memory({ env, tombstoneMs: 60_000, logBytes: 0 });
    store.blocking.set('a', 1);
    const cursor = store.blocking.cursor();
    store.blocking.delete('a');
    const first = (): Promise<unknown> =>
      store.watch({ after: cursor })[Symbol.asyncIterator]().next();
    await expect(first()).resolves.toMatchObject({ value: { writes: [{ type: 'delete' }] } });
    env.advanceSync(61_000);
    store.blocking.set('b', 1);
    store.blocking.delete('b');
    await expect(first()).rejects.toMatchObject({ code: 'cursor-expired' });
    await store.close();
  });

  it('shows what expired and was swept to a reader that holds an older value', async () => {
    const store = memory({ env, logBytes: 0 });
    store.blocking.set('a', 'for ever');
    const cursor = store.blocking.cursor();
    store.blocking.set('a', 'short', { ttlMs: 1_000 });
    env.advanceSync(40_000);
    const steps = store.watch({ after: cursor })[Symbol.asyncIterator]();
    expect((await steps.next()).value?.writes).toMatchObject([{ type: 'delete', key: 'a' }]);
    await store.close();
  });

  it('brings back nothing when a batch writes a key whose delete it made the store forget', async () => {
    const store = memory<string>({ tombstoneBytes: 110, logBytes: 0 });
    const { blocking } = store;
    blocking.set('again', 'old');
    blocking.delete('again');
    blocking.setMany([
      ['moved', 'old'],
      ['left', 'old'],
      ['doomed', 'old'],
    ]);
    // Its first write is one delete too many to remember, and the oldest is that of its last key.
    blocking.batch([
      { type: 'delete', key: 'doomed' },
      { type: 'set', key: 'moved', value: 'new' },
      { type: 'set', key: 'again', value: 'new' },
    ]);
    blocking.delete('moved');
    for await (const { writes } of store.watch({ after: 'start' })) {
      expect(writes.map(({ key }) => key)).toEqual(['left', 'again']);
      break;
    }
    await store.close();
  });

  it('gives the state of the head after any batches, however few deletes it remembers', async () => {
    const write = fc.record({
      type: fc.constantFrom('set' as const, 'set' as const, 'delete' as const),
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    });
    const batch = fc.uniqueArray(write, { selector: ({ key }) => key, minLength: 1 });
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { maxLength: 12 }), async (batches) => {
        const store = memory<number>({ tombstoneBytes: 200, logBytes: 0 });
        for (const [value, writes] of batches.entries())
          store.blocking.batch(
            writes.map(({ type, key }) => (type === 'set' ? { type, key, value } : { type, key })),
          );
        const state: State = new Map();
        for await (const { changes } of feedOf(store).read(
          undefined,
          Call.background(env, 'watch'),
        ))
          apply(state, changes);
        expect(living(state)).toEqual([...store.blocking.list()]);
      }),
      { numRuns: 500 },
    );
  });

  it('holds no timer once nothing will expire', () => {
    const own = simulatedEnv();
    const store = memory({ env: own });
    store.blocking.set('a', 1, { ttlMs: 1_000 });
    expect(own.pendingTimers).toBe(1);
    own.advanceSync(31_000);
    expect(own.pendingTimers).toBe(0);
  });

  it('refuses options that it does not know', () => {
    for (const bad of [
      { zerocopy: true },
      { zeroCopy: 1 },
      { tombstoneMs: 0 },
      { logBytes: -1 },
      5,
    ])
      expect(() => memory(bad as object)).toThrow(
        expect.objectContaining({ code: 'invalid-argument', operation: 'memory' }),
      );
  });
});
