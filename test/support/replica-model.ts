/**
 * A replica of members that fail, hang, lose their data and return, beside what it has told its
 * callers. Every read is held against that: nothing acknowledged may be missing, nothing that was
 * refused may be seen, and nobody may see an older state of a key after a newer one.
 */
import { type ReplicaStore, replica } from '../../src/compositions/replica/index.ts';
import { memory } from '../../src/drivers/memory/index.ts';
import type { Entry } from '../../src/store/entry.ts';
import { StrataError } from '../../src/store/errors.ts';
import type { Store } from '../../src/store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';
import type { ReplicaCommand, ReplicaSetup } from './replica-commands.ts';
import { type Before, type Known, nothingKnown } from './replica-known.ts';

const REFUSED = ['unavailable', 'timeout', 'aborted', 'conflict', 'closed', 'overloaded'];
const CALL_MS = 3_000;

export class ReplicaModel {
  readonly env: SimulatedEnv = simulatedEnv();
  readonly #setup: ReplicaSetup;
  readonly #plans: FaultPlan[];
  readonly #stores: Store<string>[];
  /** What cuts the replica that is open off from each member. */
  #cuts: FaultPlan[] = [];
  /** How often the process of the replica has died: nobody hears what its calls come to. */
  #deaths = 0;
  readonly #known = new Map<string, Known>();
  readonly #refused = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #problems: string[] = [];
  #store: ReplicaStore<string>;
  #writes = 0;
  #moment = 0;
  #lost = false;
  /** A rebuilt first store gives new revisions: what was told before is compared with nothing. */
  #generation = 0;

  constructor(setup: ReplicaSetup) {
    this.#setup = setup;
    const count = setup.sync + setup.async;
    this.#plans = Array.from({ length: count }, () => new FaultPlan());
    this.#stores = this.#plans.map(() => memory<string>({ env: this.env }));
    this.#store = this.#open();
  }

  async run(commands: readonly ReplicaCommand[]): Promise<void> {
    await this.#store.set('k0', 'begin');
    await this.#settle(this.#store.flush());
    // Stores that answer at once would leave the others nothing to do.
    for (const [at, plan] of this.#plans.entries()) plan.delay('read', 7 - at).delay('commit', 3);
    for (const command of commands) {
      await this.#do(command);
      this.#check();
    }
    await this.#end();
    this.#check();
  }

  #open(): ReplicaStore<string> {
    const { sync, options } = this.#setup;
    this.#cuts = this.#stores.map(() => new FaultPlan());
    const members = this.#stores.map((store, at) =>
      faulty(faulty(store, this.#cuts[at] as FaultPlan), this.#plans[at] as FaultPlan),
    );
    return replica<string>({
      sync: members.slice(0, sync),
      async: members.slice(sync),
      closeParts: false,
      memberTimeoutMs: 500,
      timeoutMs: CALL_MS,
      ...options,
    });
  }

  async #do(command: ReplicaCommand): Promise<void> {
    switch (command.do) {
      case 'set':
        return this.#begin(this.#set(`k${command.key}`));
      case 'delete':
        return this.#begin(this.#delete(`k${command.key}`));
      case 'get':
        return this.#begin(this.#get(`k${command.key}`));
      case 'update':
        return this.#begin(this.#update(`k${command.key}`));
      case 'batch':
        return this.#begin(this.#batch(command.keys.map((key) => `k${key}`)));
      case 'list':
        return this.#begin(this.#list());
      case 'getMany':
        return this.#begin(this.#getMany());
      case 'repair':
        return this.#begin(this.#quietly(this.#store.repair()));
      case 'flush':
        return this.#begin(this.#quietly(this.#store.flush({ timeoutMs: CALL_MS })));
      case 'pass':
        return this.env.advance(command.ms);
      case 'reopen':
        return this.#reopen(command.wiped, () => this.#close());
      case 'crash':
        return this.#reopen(command.wiped, () => this.#die());
      default:
        return this.#fault(command);
    }
  }

  #fault(command: Extract<ReplicaCommand, { readonly member: number }>): void {
    const plan = this.#plans[command.member % this.#plans.length] as FaultPlan;
    if (command.do === 'heal') plan.heal();
    else if (command.do === 'release') plan.release();
    else if (command.do === 'delay')
      for (const operation of ['commit', 'read', 'scan'] as const)
        plan.delay(operation, command.ms);
    else if (command.do === 'hang') plan.hangNext(command.operation, { times: command.times });
    else if (command.do === 'lose-answer')
      plan.failNext('commit', undefined, { times: command.times, applied: true });
    else if (command.do === 'hold-answer') plan.hangNext('commit', { applied: true });
    else plan.failNext(command.operation, undefined, { times: command.times });
  }

  #begin(work: Promise<void>): void {
    const guarded = work.catch((error: unknown) => {
      this.#problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    });
    this.#underWay.add(guarded);
    guarded.finally(() => this.#underWay.delete(guarded));
  }

  async #quietly(work: Promise<unknown>): Promise<void> {
    await this.#code(work);
  }

  /** The result, or the code of the error. */
  async #code<T>(work: Promise<T>): Promise<{ readonly value: T } | { readonly code: string }> {
    try {
      return { value: await work };
    } catch (error) {
      if (error instanceof StrataError) return { code: error.code };
      throw error;
    }
  }

  #of(key: string): Known {
    let known = this.#known.get(key);
    if (known === undefined) {
      known = nothingKnown();
      this.#known.set(key, known);
    }
    return known;
  }

  /** One write of some keys, and what became of it. */
  async #write(
    values: ReadonlyMap<string, string | undefined>,
    work: () => Promise<number | undefined>,
  ): Promise<number | undefined> {
    const generation = this.#generation;
    const deaths = this.#deaths;
    const from = ++this.#moment;
    for (const key of values.keys()) this.#of(key).writing++;
    const done = await this.#code(work());
    for (const [key, value] of values) {
      const known = this.#of(key);
      known.writing--;
      if (deaths !== this.#deaths) continue;
      if ('value' in done) {
        const rev = done.value;
        if (rev === undefined || generation !== this.#generation) continue;
        this.#told(key, rev, generation);
        if (rev <= (known.last?.rev ?? 0)) continue;
        known.last = { rev, value };
        known.sureFrom = from;
      } else if (REFUSED.includes(done.code)) {
        if (value !== undefined) this.#refused.add(value);
      } else known.unsureAt = ++this.#moment;
    }
    if (deaths !== this.#deaths) return undefined;
    return 'value' in done || REFUSED.includes(done.code) ? from : undefined;
  }

  async #set(key: string): Promise<void> {
    const value = `${key}=${++this.#writes}`;
    await this.#write(new Map([[key, value]]), async () => (await this.#store.set(key, value)).rev);
  }

  async #update(key: string): Promise<void> {
    const value = `${key}=${++this.#writes}`;
    await this.#write(
      new Map([[key, value]]),
      async () => (await this.#store.update(key, () => value))?.rev,
    );
  }

  async #delete(key: string): Promise<void> {
    const generation = this.#generation;
    const known = this.#of(key);
    const id = ++this.#writes;
    known.unsureDeletes.add(id);
    let rev: number | undefined;
    const isSure = await this.#write(new Map([[key, undefined]]), async () => {
      rev = (await this.#store.batch([{ type: 'delete', key }])).rev;
      return rev;
    });
    if (isSure === undefined) return;
    known.unsureDeletes.delete(id);
    if (generation === this.#generation) known.deleted = Math.max(known.deleted, rev ?? 0);
  }

  async #batch(keys: readonly string[]): Promise<void> {
    const id = ++this.#writes;
    const values = new Map(keys.map((key) => [key, `${key}=${id}`]));
    await this.#write(values, async () => (await this.#store.setMany(values)).rev);
  }

  #told(key: string, rev: number, generation: number): void {
    if (generation !== this.#generation) return;
    const known = this.#of(key);
    known.rev = Math.max(known.rev, rev);
    known.seen = true;
  }

  async #get(key: string): Promise<void> {
    const before = this.#before(key);
    const found = await this.#code(this.#store.getEntry(key));
    if (before.deaths === this.#deaths && 'value' in found) this.#saw(key, found.value, before);
  }

  #getMany(): Promise<void> {
    return this.#seeAll((keys) => this.#store.getEntries(keys));
  }

  #list(): Promise<void> {
    return this.#seeAll(async () => {
      const entries = await Array.fromAsync(this.#store.list());
      return new Map(entries.map((entry) => [entry.key, entry]));
    });
  }

  async #seeAll(read: (keys: string[]) => Promise<Map<string, Entry<string>>>): Promise<void> {
    const deaths = this.#deaths;
    const keys = [...this.#known.keys()];
    const before = new Map(keys.map((key) => [key, this.#before(key)]));
    const found = await this.#code(read(keys));
    if (!('value' in found) || deaths !== this.#deaths) return;
    for (const key of keys) this.#saw(key, found.value.get(key), before.get(key) as Before);
  }

  #before(key: string): Before {
    const { rev, seen } = this.#of(key);
    return { rev, seen, generation: this.#generation, deaths: this.#deaths };
  }

  /** Holds what a read gave against what was known when it began. */
  #saw(
    key: string,
    entry: { readonly value: string; readonly rev?: number } | undefined,
    before: Before,
  ): void {
    const known = this.#of(key);
    if (entry !== undefined && this.#refused.has(entry.value))
      this.#problems.push(`${key} was read as ${entry.value}, which was refused`);
    if (before.generation !== this.#generation) return;
    if (entry === undefined) {
      if (before.seen && known.deleted < before.rev && known.unsureDeletes.size === 0)
        this.#problems.push(`${key} was missing, last known at ${before.rev}`);
      return;
    }
    const rev = entry.rev ?? 0;
    if (rev < before.rev) this.#problems.push(`${key} went back from ${before.rev} to ${rev}`);
    known.rev = Math.max(known.rev, rev);
    known.seen = true;
  }

  async #close(): Promise<void> {
    await this.#settle(this.#store.close({ drainMs: 0 }));
    for (const plan of this.#plans) plan.heal();
    await this.#drain();
  }

  /** Nothing that was under way reaches a member any more, and nobody hears of it. */
  async #die(): Promise<void> {
    for (const cut of this.#cuts)
      for (const operation of ['read', 'scan', 'commit', 'feed'] as const)
        cut.failNext(operation, 'closed', { times: Number.POSITIVE_INFINITY });
    this.#deaths++;
    this.#moment++;
    for (const known of this.#known.values()) if (known.writing > 0) known.unsureAt = this.#moment;
    for (const plan of this.#plans) plan.heal();
    await this.#drain();
    await this.#settle(this.#store.close({ drainMs: 0 }));
  }

  async #reopen(wiped: number | undefined, end: () => Promise<void>): Promise<void> {
    // Asynchronous members do not promise to have what the only synchronous one loses.
    const least = this.#setup.sync > 1 ? 0 : 1;
    const count = this.#stores.length - least;
    const at = wiped === undefined ? undefined : least + (wiped % count);
    // One loss at a time: the next when everybody has everything again.
    if (at !== undefined && this.#lost) await this.#heal();
    this.#lost ||= at !== undefined;
    await end();
    for (const plan of this.#plans) plan.release();
    if (at !== undefined) this.#stores[at] = memory<string>({ env: this.env });
    if (at === 0) this.#generation++;
    this.#store = this.#open();
    for (const [at, plan] of this.#plans.entries()) plan.delay('read', 7 - at).delay('commit', 3);
    if (at === 0) await this.#expectAll();
  }

  /** The first store is new: what was acknowledged is there all the same, under other revisions. */
  async #expectAll(): Promise<void> {
    const entries = await this.#settle(Array.fromAsync(this.#store.list()));
    const found = new Map(entries.map((entry) => [entry.key, entry.value]));
    for (const [key, known] of this.#known) {
      const { last, unsureAt, sureFrom } = known;
      const value = found.get(key);
      if (last !== undefined && unsureAt <= sureFrom && value !== last.value)
        this.#problems.push(
          `${key} is ${value} after the loss of the first store, not ${last.value}`,
        );
      known.rev = 0;
      known.deleted = 0;
      known.last = undefined;
      known.seen = value !== undefined;
    }
  }

  async #heal(): Promise<void> {
    // What was delayed may hang only then.
    for (let i = 0; i < 20; i++) {
      for (const plan of this.#plans) plan.heal();
      await this.env.advance(1_000);
    }
    await this.#settle(this.#store.flush());
  }

  async #end(): Promise<void> {
    await this.#heal();
    await this.#drain();
    await this.#settle(this.#store.repair());
    const left = await this.#settle(this.#store.flush());
    if (left.behind.length > 0) this.#problems.push(`behind at the end: ${left.behind.join()}`);
    await this.#settle(this.#list());
    const states = await Promise.all(
      this.#stores.map(async (store) =>
        JSON.stringify((await Array.fromAsync(store.list())).map(({ key, value }) => [key, value])),
      ),
    );
    for (const [at, state] of states.entries())
      if (state !== states[0]) this.#problems.push(`member ${at}: ${state}, first: ${states[0]}`);
    await this.#settle(this.#store.close());
    if (this.env.pendingTimers > 0) await this.env.advance(60_000);
  }

  /** Everything under way comes to its end. */
  async #drain(): Promise<void> {
    for (let i = 0; i < 400 && this.#underWay.size > 0; i++) {
      for (const plan of this.#plans) plan.release();
      await this.env.advance(100);
    }
    if (this.#underWay.size > 0) this.#problems.push('a call never ended');
  }

  async #settle<T>(work: Promise<T>): Promise<T> {
    let isSettled = false;
    const watched = work.finally(() => {
      isSettled = true;
    });
    watched.catch(() => {});
    for (let i = 0; i < 2_000 && !isSettled; i++) await this.env.advance(50);
    if (!isSettled) throw new Error('a call of the model itself never ended');
    return watched;
  }

  #check(): void {
    if (this.#problems.length > 0) throw new Error(this.#problems.join('\n'));
  }
}
