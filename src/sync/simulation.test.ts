import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { Call } from '../store/call.ts';
import { defineStore } from '../store/define-store.ts';
import { cursorExpired } from '../store/feed/cursor.ts';
import { primitivesOf } from '../store/internals.ts';
import type { Feed, Position } from '../store/primitives.ts';
import type { Store, StoreWithBlocking } from '../store/store.ts';
import type { PrimitivesWithBlocking } from '../store/with-codec.ts';
import { FaultPlan, faulty, simulatedEnv } from '../testing/index.ts';
import { recordKey } from './cursor-record.ts';
import { publish, type Subscription, subscribe } from './index.ts';

/** What can happen next. */
type Step =
  | { readonly do: 'set' | 'delete'; readonly key: number }
  | { readonly do: 'batch'; readonly keys: readonly number[] }
  | { readonly do: 'cut' | 'hold' | 'release' | 'down' | 'up' | 'reopen'; readonly who: number }
  | { readonly do: 'fail'; readonly who: number; readonly applied: boolean }
  | { readonly do: 'write'; readonly who: number; readonly key: number }
  | { readonly do: 'pass'; readonly ms: number }
  /** With `cut` the server is gone for a moment, as after a restore. */
  | { readonly do: 'epoch'; readonly cut: boolean };

const who = fc.nat(2);
const key = fc.nat(11);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('set' as const), key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('batch' as const),
      keys: fc.array(key, { minLength: 2, maxLength: 8 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'cut' as const,
        'hold' as const,
        'release' as const,
        'down' as const,
        'up' as const,
        'reopen' as const,
      ),
      who,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('fail' as const), who, applied: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('write' as const), who, key }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(300) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('epoch' as const), cut: fc.boolean() }) },
);

function stateOf(store: StoreWithBlocking<Uint8Array>): string {
  return [...store.blocking.list()].map(({ key, value }) => `${key}=${words(value)}`).join(';');
}

/** The revision that a copy says it holds. */
function cursorOf(store: StoreWithBlocking<Uint8Array>): number {
  const record = primitivesOf(store).blocking?.readOne(recordKey(''));
  if (record === undefined) return 0;
  const { cursor } = JSON.parse(words(record.value) ?? '') as { cursor: string };
  return Number.parseInt(cursor.split('.')[1] as string, 36);
}

type Hook = (state: string, cursor: number) => void;

/** A store that is looked at after each of its commits. */
function hooked(
  plain: StoreWithBlocking<Uint8Array>,
  hook: Hook,
): {
  readonly plain: StoreWithBlocking<Uint8Array>;
  readonly watched: StoreWithBlocking<Uint8Array>;
} {
  const inside = primitivesOf(plain) as PrimitivesWithBlocking<Uint8Array>;
  const watched = defineStore<Uint8Array>({
    ...inside,
    commit(writes, call) {
      const done = inside.commit(writes, call);
      hook(stateOf(plain), cursorOf(plain));
      return done;
    },
  });
  return { plain, watched };
}

const LIMITS = {
  batchBytes: 200,
  batchKeys: 3,
  historyBytes: 600,
  heartbeatMs: 1_000,
  ackTimeoutMs: 3_000,
  comparedKeys: 0,
};

/** A store whose epoch can be changed, as a restore does, while it is open. */
class Epochs {
  readonly store: Store<Uint8Array>;
  #count = 0;
  /** In which epoch revisions were made, from one on. */
  readonly #from: (readonly [rev: number, epoch: string])[] = [[0, 'e0']];
  #bell = Promise.withResolvers<void>();
  readonly #feed: Feed<Uint8Array>;

  constructor(plain: Store<Uint8Array>) {
    const inside = primitivesOf(plain);
    const feed = inside.feed as Feed<Uint8Array>;
    this.#feed = feed;
    const own = (at: Position): Position => ({ ...at, epoch: `e${this.#count}` });
    const inner = async (at: Position | undefined, call: Call): Promise<Position | undefined> => {
      if (at === undefined) return undefined;
      if (at.epoch !== `e${this.#count}`) throw cursorExpired('watch', at, 'the epoch is another');
      return { ...at, epoch: (await feed.state(call)).head.epoch };
    };
    const { blocking: _, ...primitives } = inside;
    this.store = defineStore<Uint8Array>({
      ...primitives,
      feed: {
        state: async (call) => {
          const state = await feed.state(call);
          return { ...state, head: own(state.head) };
        },
        read: async function* (at, call) {
          for await (const { changes, end } of feed.read(await inner(at, call), call))
            yield { changes, ...(end !== undefined && { end: own(end) }) };
        },
        wait: async (at, call) => {
          if (at !== undefined && at.epoch !== `e${this.#count}`) return;
          await Promise.race([feed.wait(await inner(at, call), call), this.#bell.promise]);
        },
        epochOf: (rev) => this.#from.findLast(([first]) => first <= rev)?.[1] ?? '',
      },
    });
  }

  async renew(): Promise<void> {
    const { head } = await this.#feed.state(Call.background(simulatedEnv(1), 'renew'));
    this.#count++;
    this.#from.push([head.rev + 1, `e${this.#count}`]);
    this.#bell.resolve();
    this.#bell = Promise.withResolvers();
  }
}

async function run(seed: number, steps: readonly Step[]): Promise<void> {
  const env = simulatedEnv(seed);
  const wrong: string[] = [];
  /** Every state that the source has had, as text. */
  const history = new Set<string>(['']);
  const { plain: original, watched: store } = hooked(
    memory<Uint8Array>({ env, logBytes: 1_500, tombstoneBytes: 250 }),
    (state) => void history.add(state),
  );
  const epochs = new Epochs(store);
  const publication = publish(epochs.store, {
    limits: LIMITS,
    authorize: () => ({ read: true, write: true }),
  });
  let n = 0;
  const pending: Promise<unknown>[] = [];
  const open = (
    line: Line,
    local: ReturnType<typeof memory<Uint8Array>>,
  ): Subscription<Uint8Array> =>
    subscribe(line, local, {
      env,
      token: 't',
      timeoutMs: 500,
      limits: { creditBytes: 400, connectTimeoutMs: 2_000 },
      reconnect: { baseMs: 50, capMs: 500 },
    });
  const members = [0, 1, 2].map((number) => {
    let rev = 0;
    const { plain, watched } = hooked(memory<Uint8Array>({ env }), (state, cursor) => {
      if (!history.has(state)) wrong.push(`subscriber ${number} holds what never was: ${state}`);
      if (cursor < rev) wrong.push(`subscriber ${number} goes back from ${rev} to ${cursor}`);
      rev = cursor;
    });
    const plan = new FaultPlan();
    const local = faulty(watched, plan);
    const line = new Line(publication);
    return { inner: plain, local, plan, line };
  });
  // The last two share one store, as two tabs do.
  const shared = members[1] as (typeof members)[number];
  const third = members[2] as (typeof members)[number];
  third.inner = shared.inner;
  third.local = shared.local;
  third.plan = shared.plan;
  const subscriptions = members.map(({ line, local }) => open(line, local));
  const act = async (next: Step): Promise<void> => {
    const name = (key: number): string => `key ${key}`;
    const member = 'who' in next ? members[next.who] : undefined;
    if (next.do === 'set') await store.set(name(next.key), bytes(`${n++}`));
    else if (next.do === 'delete') await store.delete(name(next.key));
    else if (next.do === 'batch')
      await store.setMany(next.keys.map((key) => [name(key), bytes(`${n++}`)]));
    else if (next.do === 'pass') await env.advance(next.ms);
    else if (next.do === 'epoch') {
      if (next.cut) for (const { line } of members) line.cut();
      await epochs.renew();
    } else if (member === undefined || !('who' in next)) return;
    else if (next.do === 'cut') member.line.cut();
    else if (next.do === 'hold') member.line.hold();
    else if (next.do === 'release') member.line.release(2);
    else if (next.do === 'down' || next.do === 'up') member.line.down = next.do === 'down';
    else if (next.do === 'fail')
      member.plan.failNext('commit', next.applied ? undefined : 'no-space', {
        applied: next.applied,
      });
    else if (next.do === 'write') {
      const value = bytes(`remote ${n++}`);
      const written = subscriptions[next.who]?.remote.set(name(next.key), value);
      pending.push(Promise.resolve(written).catch(() => undefined));
    } else {
      await subscriptions[next.who]?.close();
      subscriptions[next.who] = open(member.line, member.local);
    }
  };
  for (const next of steps) {
    await act(next);
    await env.advance(1);
    expect(wrong).toEqual([]);
  }
  for (const { line } of members) {
    line.down = false;
    line.release();
  }
  await env.advance(20_000);
  expect(wrong).toEqual([]);
  for (const { inner } of members) expect(stateOf(inner)).toBe(stateOf(original));
  for (const subscription of subscriptions)
    expect(subscription.status()).toMatchObject({ state: 'live', lag: 0 });
  await Promise.all(pending);
  await Promise.all(subscriptions.map((subscription) => subscription.close()));
  await Promise.all([store, ...members.map(({ inner }) => inner)].map((each) => each.close()));
  await env.advance(40_000);
  expect(env.pendingTimers).toBe(0);
}

describe('a simulated world', () => {
  it('holds only true states of the source, and converges once it heals', async () => {
    await fc.assert(fc.asyncProperty(fc.nat(2 ** 31), fc.array(step, { maxLength: 40 }), run), {
      numRuns: Number(process.env.STRATAKV_SIMULATIONS ?? 40),
    });
  }, 120_000);
});
