/** A tiered store in processes that end at any moment, over parts that fail, hang and answer late, in simulated time. */
import {
  type TieredOptions,
  type TieredStore,
  tiered,
} from '../../src/compositions/tiered/index.ts';
import { memory } from '../../src/drivers/memory/index.ts';
import type { Awaitable } from '../../src/store/awaitable.ts';
import { Call } from '../../src/store/call.ts';
import { defineStore } from '../../src/store/define-store.ts';
import type { Env, Timer } from '../../src/store/env.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { CommitOutcome, Primitives } from '../../src/store/primitives.ts';
import type { Store, StoreWithBlocking } from '../../src/store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';

export type PartName = 'front' | 'back' | 'journal';
export const PARTS: readonly PartName[] = ['front', 'back', 'journal'];
export const LEASE_MS = 600;

type Wait = (step: string) => Promise<unknown>;

/** Time as a process sees it: at its end its timers are gone. */
class ProcessEnv implements Env {
  dead = false;
  readonly timers = new Set<Timer>();
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  now(): number {
    return this.#env.now();
  }

  monotonicMs(): number {
    return this.#env.monotonicMs();
  }

  random(): number {
    return this.#env.random();
  }

  randomBytes(length: number): Uint8Array {
    return this.#env.randomBytes(length);
  }

  setTimer(fn: () => void, delayMs: number): Timer {
    const inner = this.#env.setTimer(() => {
      this.timers.delete(timer);
      fn();
    }, delayMs);
    const timer: Timer = {
      cancel: () => {
        this.timers.delete(timer);
        inner.cancel();
      },
    };
    if (this.dead) inner.cancel();
    else this.timers.add(timer);
    return timer;
  }

  end(): void {
    this.dead = true;
    for (const timer of this.timers) timer.cancel();
  }
}

type Land = () => Awaitable<CommitOutcome>;

/** The way of commits to a part. */
interface Way {
  readonly sent: Set<Land>;
  arrive(land: Land): Awaitable<CommitOutcome>;
}

export interface WorldOptions {
  readonly options: Partial<TieredOptions<unknown>>;
  /** The front outlives its process. */
  readonly keepsFront: boolean;
  /** Which parts answer late, in the order of the scheduler. */
  readonly late: Readonly<Record<PartName, boolean>>;
  readonly wait: Wait;
}

export class TieredModelWorld {
  readonly env: SimulatedEnv = simulatedEnv();
  readonly inBack: StoreWithBlocking<unknown> = memory({ env: this.env });
  readonly inJournal: StoreWithBlocking<unknown> = memory({ env: this.env });
  inFront: StoreWithBlocking<unknown> = memory({ env: this.env });
  readonly plans: Readonly<Record<PartName, FaultPlan>> = {
    front: new FaultPlan(),
    back: new FaultPlan(),
    journal: new FaultPlan(),
  };
  /** Faults of what is on its way: a commit that hangs there lands late, whatever has become of its call. */
  readonly ways: Readonly<Record<PartName, FaultPlan>> = {
    front: new FaultPlan(),
    back: new FaultPlan(),
    journal: new FaultPlan(),
  };
  /** Commits of the process that are on their way. */
  readonly #sent = new Set<Land>();
  store: TieredStore<unknown>;
  readonly #setup: WorldOptions;
  #process: ProcessEnv;

  constructor(setup: WorldOptions) {
    this.#setup = setup;
    this.#process = new ProcessEnv(this.env);
    this.store = this.#open();
  }

  /** The running process, to know it again. */
  get process(): { readonly dead: boolean; readonly timers: ReadonlySet<Timer> } {
    return this.#process;
  }

  /** How many commits are on their way. */
  get landing(): number {
    return this.#sent.size;
  }

  heal(): void {
    for (const plans of [this.ways, this.plans])
      for (const plan of Object.values(plans)) plan.heal();
  }

  /** Lets everything that hangs go on. */
  release(): void {
    for (const plans of [this.ways, this.plans])
      for (const plan of Object.values(plans)) plan.release();
  }

  /** The process ends at once, and another begins. */
  restart(): void {
    this.#process.end();
    this.heal();
    this.#sent.clear();
    this.#process = new ProcessEnv(this.env);
    if (!this.#setup.keepsFront) this.inFront = memory({ env: this.env });
    this.store = this.#open();
  }

  #open(): TieredStore<unknown> {
    const { options, keepsFront } = this.#setup;
    const journal = options.write === 'behind';
    return tiered({
      front: this.#part('front', this.inFront, keepsFront),
      back: this.#part('back', this.inBack, true),
      ...(journal && {
        journal: this.#part('journal', this.inJournal, true),
        leaseMs: LEASE_MS,
        retry: { minMs: 10, maxMs: 200 },
      }),
      closeParts: false,
      env: this.#process,
      ...options,
    });
  }

  #wayOf(name: PartName): Way {
    const sent = this.#sent;
    const arrive = (land: Land): Awaitable<CommitOutcome> =>
      this.ways[name].run('commit', this.env, undefined, () => {
        sent.delete(land);
        return land();
      });
    return { sent, arrive };
  }

  #part(name: PartName, store: Store<unknown>, lasting: boolean): Store<unknown> {
    const { late, wait } = this.#setup;
    const inner = primitivesOf(store);
    const { blocking, peek } = inner;
    // What is in the memory of a process dies with it, as one that answers at once shows.
    const capabilities = Object.freeze({
      ...inner.capabilities,
      blocking: !lasting,
      ...(lasting && { durability: 'os' as const }),
    });
    const seen = partOf(
      inner,
      this.#process,
      this.#wayOf(name),
      late[name] ? (step) => wait(`${name} ${step}`) : undefined,
    );
    const part = { ...seen, capabilities, ...(!lasting && blocking && { blocking }) };
    const failing = faulty(defineStore(part), this.plans[name]);
    if (lasting || late[name] || peek === undefined) return failing;
    return defineStore({ ...primitivesOf(failing), peek: (key) => peek.call(inner, key) });
  }
}

/** A store as a process sees it: late, and silent after its end. */
function partOf(
  inner: Primitives<unknown>,
  env: ProcessEnv,
  way: Way,
  wait?: Wait,
): Primitives<unknown> {
  const { blocking: _b, peek: _p, readValue: _r, feed, ...rest } = inner;
  const late = async <T>(step: string, work: () => Awaitable<T>): Promise<T> => {
    await wait?.(step);
    if (env.dead) return new Promise<never>(() => {});
    const result = await work();
    await wait?.(`${step} answers`);
    if (env.dead) return new Promise<never>(() => {});
    return result;
  };
  const doing = <T>(step: string, work: () => Awaitable<T>): Awaitable<T> =>
    wait === undefined && !env.dead ? work() : late(step, work);
  async function* pages<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const page of source) yield await doing('scan', () => page);
  }
  return {
    ...rest,
    env,
    readOne: (key, call) => doing(`read ${key}`, () => inner.readOne(key, call)),
    readMany: (keys, call) => doing(`read ${keys.join()}`, () => inner.readMany(keys, call)),
    scan: (range, call) => pages(inner.scan(range, call)),
    scanKeys: (range, call) => pages(inner.scanKeys(range, call)),
    commit: (writes, call) => {
      call.throwIfEnded();
      call.markSent();
      const step = `commit ${writes.map(({ type, key }) => `${type} ${key}`).join()}`;
      // What has been sent lands, also when nobody waits for it any more.
      const land: Land = () =>
        env.dead
          ? new Promise<never>(() => {})
          : inner.commit(writes, Call.background(env, call.operation));
      way.sent.add(land);
      return doing(step, () => way.arrive(land));
    },
    ...(feed !== undefined && {
      feed: {
        state: (call: Call) => doing('head', () => feed.state(call)),
        read: (after, call) => feed.read(after, call),
        wait: (after, call) => feed.wait(after, call),
        epochOf: (rev) => feed.epochOf(rev),
      },
    }),
  };
}
