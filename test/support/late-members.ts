import {
  type ReplicaOptions,
  type ReplicaStore,
  replica,
} from '../../src/compositions/replica/index.ts';
import { intentRange } from '../../src/compositions/replica/intents.ts';
import { memory } from '../../src/drivers/memory/index.ts';
import { StrataError } from '../../src/store/errors.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { Store } from '../../src/store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';

/** How long each call of a member takes. */
export const DELAY_MS = 5;
/** A fault that lasts. */
export const FOREVER: { readonly times: number } = { times: Number.POSITIVE_INFINITY };

/** A replica of members each call of which is late, and that can be cut off, lost and opened again. */
export class LateMembers {
  readonly env: SimulatedEnv = simulatedEnv();
  readonly members: Store<string>[];
  plans: FaultPlan[] = [];
  /** What cuts a process that has died off from each member, whatever was on its way. */
  #cuts: FaultPlan[] = [];
  store!: ReplicaStore<string>;

  readonly #make: (env: SimulatedEnv, at: number) => Store<string>;

  constructor(
    count: number,
    make: (env: SimulatedEnv, at: number) => Store<string> = (env) => memory<string>({ env }),
  ) {
    this.#make = make;
    this.members = Array.from({ length: count }, (_, at) => make(this.env, at));
  }

  /** Opens the replica, each call of a member late. */
  async open(options: Partial<ReplicaOptions<string>> = {}): Promise<this> {
    this.plans = this.members.map(() => new FaultPlan());
    this.#cuts = this.members.map(() => new FaultPlan());
    const sync = this.members.map((store, at) =>
      faulty(faulty(store, this.#cuts[at] as FaultPlan), this.plan(at)),
    );
    this.store = replica({ sync, closeParts: false, memberTimeoutMs: 500, ...options });
    for (const plan of this.plans) plan.delay('commit', DELAY_MS).delay('read', DELAY_MS);
    await this.take(this.store.set('begin', '1'));
    await this.take(this.store.set('begin', '2'));
    await this.take(this.store.flush());
    return this;
  }

  plan(at: number): FaultPlan {
    return this.plans[at] as FaultPlan;
  }

  /** The outcome of a call, and how long it took. */
  async timed<T>(work: Promise<T>): Promise<{ readonly ms: number; readonly result: T | unknown }> {
    let result: { readonly value: T | unknown } | undefined;
    work.then(
      (value) => {
        result = { value };
      },
      (error: unknown) => {
        result = { value: error };
      },
    );
    for (let ms = 0; ; ms++) {
      if (result !== undefined) return { ms, result: result.value };
      if (ms > 20_000) throw new Error('a call never ended');
      await this.env.advance(1);
    }
  }

  async take<T>(work: Promise<T>): Promise<T> {
    const { result } = await this.timed(work);
    if (result instanceof Error) throw result;
    return result as T;
  }

  async code(work: Promise<unknown>): Promise<unknown> {
    const { result } = await this.timed(work);
    return result instanceof StrataError ? result.code : result;
  }

  /** Keys of a member under which an intent stands. */
  async intents(at: number): Promise<number> {
    const inner = primitivesOf(this.members[at] as Store<string>);
    let count = 0;
    const call = { throwIfEnded: () => {} } as never;
    for await (const page of inner.scanKeys(intentRange({ notePrefix: '\u0000replica/1/' }), call))
      count += page.length;
    return count;
  }

  /** The process dies: nothing of it reaches a member any more. */
  async die(): Promise<void> {
    const old = this.store;
    for (const cut of this.#cuts)
      for (const what of ['commit', 'read', 'scan', 'feed'] as const)
        cut.failNext(what, 'closed', FOREVER);
    await this.take(old.close({ drainMs: 0 }).catch(() => undefined));
  }

  /** A member loses everything. */
  wipe(at: number): void {
    this.members[at] = this.#make(this.env, at);
  }
}
