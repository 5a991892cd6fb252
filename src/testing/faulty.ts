import type { Awaitable } from '../store/awaitable.ts';
import type { Call } from '../store/call.ts';
import { defineStore } from '../store/define-store.ts';
import type { Env } from '../store/env.ts';
import { StrataError, type StrataErrorCode } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import { packedCommits } from '../store/packed-commits.ts';
import type { BlockingPrimitives, Feed, Primitives } from '../store/primitives.ts';
import type { Store, StoreWithBlocking } from '../store/store.ts';

/** What can be made to fail. Each page of a scan or of the feed, and each wait, counts as one call. */
export type FaultyOperation = 'read' | 'scan' | 'commit' | 'feed' | 'close';

/** When a fault strikes, and how late. */
export interface FaultOptions {
  /** How many calls it strikes; default 1. */
  readonly times?: number;
  /** How many calls pass before; default 0. */
  readonly after?: number;
  /** The work is done before it strikes, as when an answer is lost; default false. */
  readonly applied?: boolean;
}

interface Fault {
  readonly kind: 'fail' | 'hang';
  readonly code: StrataErrorCode;
  readonly applied: boolean;
  times: number;
  after: number;
}

/** What goes wrong in a `faulty` store: change it at any time. */
export class FaultPlan {
  readonly #faults: Map<FaultyOperation, Fault[]> = new Map();
  readonly #delays: Map<FaultyOperation, number> = new Map();
  readonly #calls: Map<FaultyOperation, number> = new Map();
  #hanging: Set<() => void> = new Set();

  /** The next call fails; default `unavailable`, or `unknown-outcome` when `applied`. */
  failNext(operation: FaultyOperation, code?: StrataErrorCode, options: FaultOptions = {}): this {
    const applied = options.applied === true;
    return this.#plan(operation, options, {
      kind: 'fail',
      code: code ?? (applied ? 'unknown-outcome' : 'unavailable'),
      applied,
    });
  }

  /** The next call hangs until `release`; a write that then finds its call ended is not applied. */
  hangNext(operation: FaultyOperation, options: FaultOptions = {}): this {
    const applied = options.applied === true;
    return this.#plan(operation, options, { kind: 'hang', code: 'unavailable', applied });
  }

  /** Every call takes so much longer from now on; 0 ends it. */
  delay(operation: FaultyOperation, delayMs: number): this {
    this.#delays.set(operation, delayMs);
    return this;
  }

  /** Lets every hanging call go on. */
  release(): void {
    const hanging = this.#hanging;
    this.#hanging = new Set();
    for (const go of hanging) go();
  }

  /** Ends all faults and delays, and lets every hanging call go on. */
  heal(): void {
    this.#faults.clear();
    this.#delays.clear();
    this.release();
  }

  /** How many calls there were, those that failed included. */
  calls(operation: FaultyOperation): number {
    return this.#calls.get(operation) ?? 0;
  }

  /** How many calls hang now. */
  get hanging(): number {
    return this.#hanging.size;
  }

  /** Runs one call as planned; used by `faulty`. */
  run<T>(
    operation: FaultyOperation,
    env: Env,
    call: Call | undefined,
    work: () => Awaitable<T>,
  ): Awaitable<T> {
    const fault = this.#take(operation);
    const delayMs = this.#delays.get(operation) ?? 0;
    if (fault === undefined && delayMs === 0) return work();
    return this.#strike(operation, fault, delayMs, env, call, work);
  }

  /** As `run`, where nothing can wait: a hang fails at once with `timeout`. */
  runBlocking<T>(operation: FaultyOperation, work: () => T): T {
    const fault = this.#take(operation);
    if (fault === undefined) return work();
    if (fault.applied) work();
    throw planned(operation, fault.kind === 'hang' ? 'timeout' : fault.code);
  }

  async #strike<T>(
    operation: FaultyOperation,
    fault: Fault | undefined,
    delayMs: number,
    env: Env,
    call: Call | undefined,
    work: () => Awaitable<T>,
  ): Promise<T> {
    if (delayMs > 0) await new Promise<void>((resolve) => env.setTimer(resolve, delayMs));
    if (fault?.applied === true) {
      call?.throwIfEnded();
      call?.markSent();
      const result = await work();
      if (fault.kind === 'fail') throw planned(operation, fault.code);
      await this.#hang();
      return result;
    }
    if (fault?.kind === 'fail') throw planned(operation, fault.code);
    if (fault?.kind === 'hang') await this.#hang();
    call?.throwIfEnded();
    return work();
  }

  #hang(): Promise<void> {
    return new Promise((resolve) => {
      this.#hanging.add(resolve);
    });
  }

  #plan(
    operation: FaultyOperation,
    { times = 1, after = 0 }: FaultOptions,
    fault: Pick<Fault, 'kind' | 'code' | 'applied'>,
  ): this {
    const faults = this.#faults.get(operation) ?? [];
    faults.push({ ...fault, times, after });
    this.#faults.set(operation, faults);
    return this;
  }

  #take(operation: FaultyOperation): Fault | undefined {
    this.#calls.set(operation, this.calls(operation) + 1);
    const faults = this.#faults.get(operation);
    const fault = faults?.[0];
    if (fault === undefined) return undefined;
    if (fault.after > 0) {
      fault.after--;
      return undefined;
    }
    if (--fault.times <= 0) faults?.shift();
    return fault;
  }
}

function planned(operation: FaultyOperation, code: StrataErrorCode): StrataError {
  return new StrataError(code, `${operation}: a planned fault`, { operation });
}

/**
 * The same store with faults: calls fail, hang or take longer as the plan says. For tests of what
 * stands on a store. Closing it closes the store inside.
 *
 * ```ts
 * const plan = new FaultPlan();
 * const back = faulty(memory(), plan);
 * plan.failNext('commit');
 * plan.hangNext('read', { times: Infinity });
 * ```
 */
export function faulty<V>(store: StoreWithBlocking<V>, plan: FaultPlan): StoreWithBlocking<V>;
export function faulty<V>(store: Store<V>, plan: FaultPlan): Store<V>;
export function faulty<V>(store: Store<V>, plan: FaultPlan): Store<V> {
  return defineStore(withFaults(primitivesOf(store, 'faulty'), plan));
}

function withFaults<V>(inner: Primitives<V>, plan: FaultPlan): Primitives<V> {
  const { env, capabilities, timeoutMs, codec, readValue, feed, blocking, bytes } = inner;
  const { checkValue, guard } = inner;
  const packed = packedCommits(inner);
  const commit: Primitives<V>['commit'] = (writes, call) =>
    plan.run('commit', env, call, () => inner.commit(writes, call));
  return {
    shape: { type: 'faulty', parts: { inner: inner.shape } },
    capabilities,
    env,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(codec !== undefined && { codec }),
    ...(checkValue !== undefined && { checkValue: checkValue.bind(inner) }),
    ...(guard !== undefined && { guard: guard.bind(inner) }),
    readOne: (key, call) => plan.run('read', env, call, () => inner.readOne(key, call)),
    ...(readValue !== undefined && {
      readValue: (key: string, call: Call) =>
        plan.run('read', env, call, () => readValue.call(inner, key, call)),
    }),
    readMany: (keys, call) => plan.run('read', env, call, () => inner.readMany(keys, call)),
    scan: (range, call) => stepwise('scan', env, plan, call, inner.scan(range, call)),
    scanKeys: (range, call) => stepwise('scan', env, plan, call, inner.scanKeys(range, call)),
    commit,
    ...(packed !== undefined && {
      packed: {
        of: commit,
        commit: (sets, last, call) =>
          plan.run('commit', env, call, () => packed.commit(sets, last, call)),
      },
    }),
    ...(feed !== undefined && { feed: faultyFeed(feed, env, plan) }),
    ...(blocking !== undefined && { blocking: faultyBlocking(blocking, plan) }),
    ...(bytes !== undefined && { bytes: withFaults(bytes, plan) }),
    close: async () => plan.run('close', env, undefined, () => inner.close()),
  };
}

function faultyFeed<V>(feed: Feed<V>, env: Env, plan: FaultPlan): Feed<V> {
  return {
    state: (call) => plan.run('feed', env, call, () => feed.state(call)),
    read: (after, call) => stepwise('feed', env, plan, call, feed.read(after, call)),
    wait: async (after, call) => plan.run('feed', env, call, () => feed.wait(after, call)),
    epochOf: (rev) => feed.epochOf(rev),
  };
}

function faultyBlocking<V>(inner: BlockingPrimitives<V>, plan: FaultPlan): BlockingPrimitives<V> {
  const { readValue, state } = inner;
  return {
    readOne: (key) => plan.runBlocking('read', () => inner.readOne(key)),
    ...(readValue !== undefined && {
      readValue: (key: string) => plan.runBlocking('read', () => readValue.call(inner, key)),
    }),
    scan: (range) => plan.runBlocking('scan', () => inner.scan(range)),
    scanKeys: (range) => plan.runBlocking('scan', () => inner.scanKeys(range)),
    commit: (writes, operation) =>
      plan.runBlocking('commit', () => inner.commit(writes, operation)),
    ...(state !== undefined && {
      state: () => plan.runBlocking('feed', () => state.call(inner)),
    }),
  };
}

/** Every step of an iterable as one call. */
async function* stepwise<T>(
  operation: FaultyOperation,
  env: Env,
  plan: FaultPlan,
  call: Call,
  source: AsyncIterable<T>,
): AsyncGenerator<T> {
  const steps = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await plan.run(operation, env, call, () => steps.next());
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    await steps.return?.();
  }
}
