/** One subscriber of the simulation: its local store, its connection, and what it has been told. */
import { memory } from '../../src/drivers/memory/index.ts';
import type { Awaitable } from '../../src/store/awaitable.ts';
import { defineStore } from '../../src/store/define-store.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import { packedCommits } from '../../src/store/packed-commits.ts';
import type { CommitOutcome, Primitives, Write } from '../../src/store/primitives.ts';
import type { Store, StoreWithBlocking } from '../../src/store/store.ts';
import { recordKey } from '../../src/sync/cursor-record.ts';
import { type Subscription, subscribe, type Transport } from '../../src/sync/index.ts';
import { toWrites } from '../../src/sync/operations.ts';
import type { Message } from '../../src/sync/protocol.ts';
import { FaultPlan, faulty, type SimulatedEnv } from '../../src/testing/index.ts';
import { words } from './bytes.ts';
import { Life, pagedCommits } from './paged-commits.ts';
import { type Direction, SimulatedLine, type Tamper } from './simulated-line.ts';
import type { State } from './simulated-values.ts';

/** A fault built into the parts of a store. */
export type Plant = (
  good: Primitives<Uint8Array>,
  env: SimulatedEnv,
) => Partial<Primitives<Uint8Array>>;

export type Changed = (local: StoreWithBlocking<Uint8Array>, prefix: string, who: string) => void;

export interface MemberInit {
  readonly who: string;
  readonly env: SimulatedEnv;
  readonly prefix: string;
  /** Keeps large groups in the store until they are whole. */
  readonly stages: boolean;
  readonly plant: Plant | undefined;
  readonly tamper: (() => Tamper) | undefined;
  accept(transport: Transport): void;
  /** Called after every commit. */
  changed: Changed;
  /** Called with what is wrong. */
  wrong(what: string): void;
}

export function stateOf(store: StoreWithBlocking<Uint8Array>): State {
  return new Map(
    [...store.blocking.list()].map(({ key, value }) => [key, words(value) ?? ''] as const),
  );
}

/** The revision that a copy says it holds; 0 when it is none. */
export function cursorOf(store: StoreWithBlocking<Uint8Array>, prefix: string): number {
  const record = primitivesOf(store).blocking?.readOne(recordKey(prefix));
  if (record === undefined) return 0;
  const { cursor } = JSON.parse(words(record.value) ?? '') as { cursor: string };
  return Number.parseInt(cursor.split('.')[1] as string, 36);
}

/** A store that is looked at after each of its commits. */
export function looked(
  plain: StoreWithBlocking<Uint8Array>,
  look: (rev: number | undefined, values: readonly string[]) => void,
): Primitives<Uint8Array> {
  const inside = primitivesOf(plain);
  const packed = packedCommits(inside);
  const lookAfter = (
    done: Awaitable<CommitOutcome>,
    writes: readonly Write<Uint8Array>[],
  ): CommitOutcome => {
    // A moment later it may be another state.
    if (done instanceof Promise) throw new Error('memory commits at once');
    const values = writes.flatMap((write) => (write.type === 'set' ? [write.value] : []));
    look(
      done.rev,
      values.map((value) => words(value) ?? ''),
    );
    return done;
  };
  const commit: Primitives<Uint8Array>['commit'] = (writes, call) =>
    lookAfter(inside.commit(writes, call), writes);
  return {
    ...inside,
    commit,
    ...(packed !== undefined && {
      packed: {
        of: commit,
        commit: (sets, last, call) =>
          lookAfter(packed.commit(sets, last, call), [...toWrites(sets), last]),
      },
    }),
  };
}

export class Member {
  /** The store as it is, whatever fails around it. */
  readonly held: StoreWithBlocking<Uint8Array>;
  readonly plan: FaultPlan = new FaultPlan();
  readonly line: SimulatedLine;
  readonly init: MemberInit;
  subscription: Subscription<Uint8Array>;
  /** What the listeners of the present subscription add up to. */
  told: Map<string, string> = new Map();
  #life = new Life();
  readonly #counts = { snapshots: 0, reconciles: 0, resumes: 0 };

  /** With `sharing`, as another tab of the same page. */
  constructor(init: MemberInit, sharing?: Member) {
    this.init = init;
    this.held = sharing?.held ?? memory<Uint8Array>({ env: init.env });
    const tamper = init.tamper?.();
    this.line = new SimulatedLine(init.accept, (message, direction) => {
      const passed = tamper === undefined ? [message] : tamper(message, direction);
      for (const each of passed) this.#pass(each, direction);
      return passed;
    });
    this.subscription = this.#open();
  }

  /** Starts again in the same process. */
  async reopen(): Promise<void> {
    const former = this.subscription;
    this.#add();
    await former.close();
    this.subscription = this.#open();
  }

  /** The process ends at once, and another one starts over the same store. */
  crash(): void {
    this.#life.isOver = true;
    this.line.cut();
    this.#add();
    // Only its timers end: it is answered nothing any more.
    this.subscription.close().catch(() => undefined);
    this.#life = new Life();
    this.plan.heal();
    this.subscription = this.#open();
  }

  get counts(): { snapshots: number; reconciles: number; resumes: number } {
    const { snapshots, reconciles, resumes } = this.subscription.status();
    return {
      snapshots: this.#counts.snapshots + snapshots,
      reconciles: this.#counts.reconciles + reconciles,
      resumes: this.#counts.resumes + resumes,
    };
  }

  #add(): void {
    Object.assign(this.#counts, this.counts);
  }

  /** What is acknowledged must be there. */
  #pass(message: Message, direction: Direction): void {
    if (direction !== 'up' || message.type !== 'ack') return;
    const { prefix, who, wrong } = this.init;
    const rev = cursorOf(this.held, prefix);
    if (message.rev > rev) wrong(`${who} acknowledges ${message.rev} and holds ${rev}`);
  }

  #open(): Subscription<Uint8Array> {
    const { env, prefix, stages } = this.init;
    this.told = new Map(stateOf(this.held));
    const { told } = this;
    return subscribe(this.line, this.#local(), {
      env,
      prefix,
      token: 't',
      timeoutMs: 500,
      limits: {
        creditBytes: 400,
        connectTimeoutMs: 2_000,
        ...(stages && { stageKeys: 3, stageBytes: 250 }),
      },
      reconnect: { baseMs: 50, capMs: 500 },
      onChange: ({ key, value, deleted }) => {
        if (deleted) told.delete(key);
        else told.set(key, words(value) ?? '');
      },
    });
  }

  #local(): Store<Uint8Array> {
    const { env, changed, plant, stages, prefix, who } = this.init;
    const seen = looked(this.held, () => changed(this.held, prefix, who));
    const planted = plant?.(seen, env);
    const mortal = defineStore(this.#life.over({ ...seen, ...planted }));
    const failing = primitivesOf(faulty(mortal, this.plan));
    if (!stages) return defineStore(failing);
    const commitPages = planted?.commitPages ?? pagedCommits(failing);
    return defineStore({ ...failing, commitPages });
  }
}
