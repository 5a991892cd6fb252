/**
 * Writers, a hub and its subscribers in one simulated thread: what happens comes from one seed, and
 * every state of every copy is compared with what the source was at that revision.
 */
import { memory } from '../../src/drivers/memory/index.ts';
import { defineStore } from '../../src/store/define-store.ts';
import { isStrataError } from '../../src/store/errors.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { Store, StoreWithBlocking } from '../../src/store/store.ts';
import { type Hub, hub } from '../../src/sync/index.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';
import { bytes, words } from './bytes.ts';
import { RenewedEpochs } from './renewed-epochs.ts';
import type { Direction, Tamper } from './simulated-line.ts';
import { cursorOf, looked, Member, type Plant, stateOf } from './simulated-member.ts';
import {
  type Kind,
  publishedAs,
  remoteNumber,
  type State,
  seenOf,
  valueFor,
} from './simulated-values.ts';

/** Faults to be found. */
export interface Planted {
  readonly source?: Plant;
  readonly local?: Plant;
  readonly tamper?: () => Tamper;
}

/** How often what was tried came to pass, over many worlds. */
export type Tally = Record<
  'snapshots' | 'reconciles' | 'resumes' | 'staged' | 'written' | 'refused' | 'unknown',
  number
>;

export const newTally = (): Tally => ({
  snapshots: 0,
  reconciles: 0,
  resumes: 0,
  staged: 0,
  written: 0,
  refused: 0,
  unknown: 0,
});

const LIMITS = {
  batchBytes: 200,
  batchKeys: 3,
  historyBytes: 600,
  heartbeatMs: 1_000,
  ackTimeoutMs: 3_000,
};
const HEALED_MS = 40_000;

interface RemoteWrite {
  readonly n: number;
  outcome: 'written' | 'refused' | 'unknown' | undefined;
}

export class World {
  readonly env: SimulatedEnv;
  readonly kind: Kind;
  readonly members: Member[];
  readonly wrong: string[] = [];
  readonly #source: StoreWithBlocking<Uint8Array>;
  /** The source as its writers have it, and as servers have it. */
  readonly writer: Store<Uint8Array>;
  readonly epochs: RenewedEpochs<Uint8Array>;
  readonly sourcePlan: FaultPlan = new FaultPlan();
  readonly #served: Store<Uint8Array>;
  readonly #limits;
  #hub: Hub;
  /** States of the source, by revision, ascending. */
  readonly #history: [rev: number, state: State][] = [[0, new Map()]];
  /** The revision at which each copy was last seen. */
  readonly #revs: Map<string, number> = new Map();
  /** How often each remote write was applied. */
  readonly #applied: Map<number, number> = new Map();
  readonly #asked: RemoteWrite[] = [];
  readonly #pending: Promise<unknown>[] = [];
  #added = { written: 0, unknown: 0 };
  #n = 0;
  staged = 0;

  constructor(seed: number, kind: Kind, planted: Planted) {
    this.env = simulatedEnv(seed);
    this.kind = kind;
    this.#limits = { ...LIMITS, comparedKeys: seed % 4 === 0 ? 1_000 : 0 };
    const { env } = this;
    this.#source = memory<Uint8Array>({ env, logBytes: 1_500, tombstoneBytes: 250 });
    const seen = looked(this.#source, (rev, values) => this.#committed(rev, values));
    this.writer = defineStore(seen);
    const bad = { ...seen, ...planted.source?.(seen, env) };
    this.epochs = new RenewedEpochs(defineStore(bad));
    this.#served = faulty(this.epochs.store, this.sourcePlan);
    this.#hub = this.#serve();
    const init = (who: number, name: string, prefix: string) => ({
      who: name,
      env,
      prefix,
      stages: who === 3,
      plant: planted.local,
      tamper: planted.tamper,
      accept: (transport: Parameters<Hub['accept']>[0]) => this.#hub.accept(transport),
      changed: (local: StoreWithBlocking<Uint8Array>) => this.#check(local, name, prefix),
      wrong: (what: string) => this.wrong.push(what),
    });
    // In half of the worlds the first copies only a part; the next two share a store, as tabs do.
    const part = kind !== 'walk' && seed % 2 === 0 ? 'key 1' : '';
    const first = new Member(init(0, 'the first', part));
    const tab = new Member(init(1, 'the tabs', ''));
    const other = new Member(init(2, 'the tabs', ''), tab);
    this.members = [first, tab, other, new Member(init(3, 'the last', ''))];
  }

  get state(): State {
    return stateOf(this.#source);
  }

  next(): number {
    return this.#n++;
  }

  /** Another server takes the place of the one there was, which goes with a word or without. */
  restart(spreadMs: number | undefined): void {
    const former = this.#hub;
    if (spreadMs === undefined) for (const { line } of this.members) line.cut();
    this.#hub = this.#serve();
    former.close({ spreadMs: spreadMs ?? 1 }).catch(() => undefined);
  }

  /** A write through a subscriber, that is counted. */
  write(
    who: number,
    write: (remote: Store<Uint8Array>, value: Uint8Array) => Promise<unknown>,
  ): void {
    const n = this.next();
    const asked: RemoteWrite = { n, outcome: undefined };
    this.#asked.push(asked);
    const { remote } = (this.members[who] as Member).subscription;
    const value = valueFor(this.kind, n, ' remote', []);
    this.#settle(write(remote, value), (outcome) => {
      asked.outcome = outcome;
    });
  }

  count(who: number): void {
    const { remote } = (this.members[who] as Member).subscription;
    const more = (value: Uint8Array | undefined) =>
      bytes(String(Number.parseInt(words(value) ?? '0', 10) + 1));
    this.#settle(remote.update('count', more), (outcome) => {
      if (outcome !== 'refused') this.#added[outcome]++;
    });
  }

  #settle(
    done: Promise<unknown>,
    tell: (outcome: 'written' | 'refused' | 'unknown') => void,
  ): void {
    const settled = done.then(
      () => tell('written'),
      (error: unknown) => tell(isStrataError(error, 'unknown-outcome') ? 'unknown' : 'refused'),
    );
    this.#pending.push(settled);
  }

  #serve(): Hub {
    const { env } = this;
    const made = hub({ env });
    made.register('store', this.#served, {
      authorize: () => ({ read: true, write: true }),
      limits: this.#limits,
      env,
      ...publishedAs(this.kind),
    });
    return made;
  }

  #committed(rev: number | undefined, values: readonly string[]): void {
    if (rev !== undefined) this.#history.push([rev, this.state]);
    for (const n of values.map(remoteNumber))
      if (n !== undefined) this.#applied.set(n, (this.#applied.get(n) ?? 0) + 1);
  }

  /** Every copy is at every moment what the source was at the copy's revision, and never goes back. */
  #check(local: StoreWithBlocking<Uint8Array>, who: string, prefix: string): void {
    const rev = cursorOf(local, prefix);
    const former = this.#revs.get(who) ?? 0;
    if (rev < former) this.wrong.push(`${who} goes back from ${former} to ${rev}`);
    this.#revs.set(who, rev);
    const source = this.#history.findLast(([at]) => at <= rev)?.[1] ?? new Map();
    const wanted = seenOf(this.kind, prefix, source);
    const held = seenOf(this.kind, prefix, stateOf(local));
    if (held !== wanted) this.wrong.push(`${who} at ${rev} holds ${held}; it was ${wanted}`);
    if ([...(primitivesOf(local).blocking?.scanKeys(STAGES) ?? [])].length > 0) this.staged++;
  }

  /** Nothing fails any more, and everything comes to rest. */
  async heal(): Promise<void> {
    this.sourcePlan.heal();
    for (const { line, plan } of this.members) {
      plan.heal();
      line.isDown = false;
      for (const direction of DIRECTIONS) line.release(direction);
    }
    await this.env.advance(HEALED_MS);
  }

  checkConverged(): void {
    for (const { init, held, subscription, told } of this.members) {
      const { who, prefix } = init;
      const wanted = seenOf(this.kind, prefix, this.state);
      const found = seenOf(this.kind, prefix, stateOf(held));
      if (found !== wanted) this.wrong.push(`${who} ends with ${found}; it should be ${wanted}`);
      const { state, lag, lastError } = subscription.status();
      if (state !== 'live' || lag !== 0)
        this.wrong.push(`${who} ends ${state}, ${lag} behind: ${lastError}`);
      // What one tab hears while another begins is not the same.
      if (who !== 'the tabs' && seenOf(this.kind, prefix, told) !== found)
        this.wrong.push(`${who} was told of ${[...told].join(';')}; it holds ${found}`);
    }
  }

  /** Every write through a subscriber was done once, or not at all, as its caller was told. */
  checkWrites(): void {
    for (const { n, outcome } of this.#asked) {
      const count = this.#applied.get(n) ?? 0;
      const most = outcome === 'refused' ? 0 : 1;
      const least = outcome === 'written' ? 1 : 0;
      if (outcome === undefined) this.wrong.push(`write ${n} was never answered`);
      else if (count < least || count > most)
        this.wrong.push(`write ${n} was ${outcome}, and applied ${count} times`);
    }
    const counted = Number.parseInt(this.#history.at(-1)?.[1].get('count') ?? '0', 10);
    const { written, unknown } = this.#added;
    if (counted < written || counted > written + unknown)
      this.wrong.push(`${counted} were counted; ${written} were written, ${unknown} perhaps`);
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map(({ subscription }) => subscription.close()));
    await Promise.all(this.#pending);
    await this.#hub.close();
    await Promise.all([this.writer, ...this.members.map(({ held }) => held)].map((s) => s.close()));
    await this.env.advance(HEALED_MS);
    if (this.env.pendingTimers > 0) this.wrong.push(`${this.env.pendingTimers} timers are left`);
  }

  tally(into: Tally): void {
    for (const { counts } of this.members) {
      into.snapshots += counts.snapshots;
      into.reconciles += counts.reconciles;
      into.resumes += counts.resumes;
    }
    into.staged += this.staged;
    for (const { outcome } of this.#asked) if (outcome !== undefined) into[outcome]++;
  }
}

const DIRECTIONS: readonly Direction[] = ['up', 'down'];
const STAGES = {
  lower: { key: '\u0000sync-stage/', inclusive: true },
  upper: { key: '\u0000sync-stage0', inclusive: false },
  reverse: false,
  limit: 1,
};
