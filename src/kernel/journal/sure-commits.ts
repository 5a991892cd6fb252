import type { Awaitable } from '../../store/awaitable.ts';
import { Call, DEFAULT_TIMEOUT_MS } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { failure, isStrataError, type StrataError } from '../../store/errors.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';
import { attempt } from '../awaitable.ts';
import type { JournalStore } from './journal-store.ts';
import type { Ownership } from './ownership.ts';
import { bounded, persist } from './patience.ts';

/** By what a commit is known that must not be made twice. */
export interface Proof {
  /** It creates this key, which nobody else does: there it is seen later whether it was applied. */
  readonly key: string;
  /** What takes it back. */
  undo(): readonly Write<unknown>[];
}

/** A commit of which the store did not say whether it was applied. */
interface Doubt {
  readonly claim: string;
  /** Absent for a commit that may as well be made twice. */
  readonly proof: Proof | undefined;
  /** Nobody waits for it any longer: it is taken back. */
  readonly undo: boolean;
  readonly settle: (applied: boolean) => void;
  readonly fail: (error: unknown) => void;
}

/** The parts that commits are made with. */
export interface SureCommitsOptions {
  readonly store: JournalStore<unknown>;
  readonly ownership: Ownership;
  readonly env: Env;
}

/**
 * Commits of an owner, each of which ends in a sure outcome. Where the store leaves it open, the own
 * claim is replaced by another, so that the commit cannot land any more; then it is looked for. Until
 * that is done nothing else is committed: what would come to light in a crash must not be older than
 * what follows.
 */
export class SureCommits {
  readonly #options: SureCommitsOptions;
  readonly #doubts = new Set<Doubt>();
  /** Clears the doubts. */
  #clearing: Promise<void> | undefined;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(options: SureCommitsOptions) {
    this.#options = options;
  }

  /**
   * Commits, once. Without a proof the commit may be made twice, and its outcome is then not known;
   * with one it fails with `unavailable` when it turns out not to have been applied.
   */
  run(
    writes: readonly Write<unknown>[],
    proof: Proof | undefined,
    call: Call,
  ): Awaitable<CommitOutcome | undefined> {
    const result = this.#run(writes, proof, call);
    if (!(result instanceof Promise)) return result;
    const known = result.then(
      () => {},
      () => {},
    );
    this.#underWay.add(known);
    void known.then(() => this.#underWay.delete(known));
    return result;
  }

  /** As `run`, where nothing can wait. Fails with `unknown-outcome` where that is so, and takes back what was applied. */
  runNow(
    writes: readonly Write<unknown>[],
    proof: Proof | undefined,
    operation: string,
  ): CommitOutcome {
    const { store, ownership } = this.#options;
    const { blocking } = store.primitives;
    const lost = ownership.lostFor(operation);
    if (lost !== undefined) throw lost;
    if (blocking === undefined)
      throw failure('unsupported', operation, 'the store of the journal has no blocking half');
    if (this.#clearing !== undefined)
      throw failure('unavailable', operation, 'the journal is finding out about an earlier write');
    const { claim } = ownership;
    try {
      return withoutFirst(blocking.commit([ownership.assertion(), ...writes], operation));
    } catch (error) {
      if (isStrataError(error, 'conflict')) throw this.#lose(error, operation);
      if (isStrataError(error, 'unknown-outcome'))
        this.#doubt({ claim, proof, undo: true, settle: () => {}, fail: () => {} });
      throw error;
    }
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0 || this.#clearing !== undefined)
      await Promise.all([...this.#underWay, this.#clearing]);
  }

  #run(
    writes: readonly Write<unknown>[],
    proof: Proof | undefined,
    call: Call,
  ): Awaitable<CommitOutcome | undefined> {
    const { store, ownership } = this.#options;
    const lost = ownership.lostFor(call.operation);
    if (lost !== undefined) throw lost;
    if (this.#clearing !== undefined)
      return this.#clearing.then(() => this.#run(writes, proof, call));
    const { claim } = ownership;
    return attempt(
      () => store.commit([ownership.assertion(), ...writes], call),
      withoutFirst,
      (error) => this.#failed(error, claim, writes, proof, call),
    );
  }

  async #failed(
    error: unknown,
    claim: string,
    writes: readonly Write<unknown>[],
    proof: Proof | undefined,
    call: Call,
  ): Promise<CommitOutcome | undefined> {
    const { ownership } = this.#options;
    if (isStrataError(error, 'conflict')) {
      await ownership.settled();
      // It is the journal itself that has ended the claim: not applied, and nothing is lost.
      if (ownership.claim !== claim) return this.#run(writes, proof, call);
      throw this.#lose(error, call.operation);
    }
    if (!isStrataError(error, 'unknown-outcome')) throw error;
    const applied = await new Promise<boolean>((settle, reject) => {
      const fail = (cause: unknown): void => reject(unknown(call.operation, cause));
      this.#doubt({ claim, proof, undo: false, settle, fail });
    });
    if (applied) return undefined;
    if (proof === undefined) return this.#again(writes, call);
    throw failure('unavailable', call.operation, 'the journal did not take the write', {
      cause: error,
    });
  }

  /** Makes a commit once more of which nobody knows whether it was applied: until it is. */
  async #again(writes: readonly Write<unknown>[], call: Call): Promise<undefined> {
    const { env, ownership } = this.#options;
    const background = Call.background(env, call.operation);
    try {
      await persist(env, ownership.life, async () => this.#run(writes, undefined, background));
    } catch (cause) {
      throw unknown(call.operation, cause);
    }
  }

  #lose(cause: unknown, operation: string): StrataError {
    const { ownership } = this.#options;
    const lost = ownership.lose(cause);
    return ownership.lostFor(operation) ?? lost;
  }

  #doubt(doubt: Doubt): void {
    this.#doubts.add(doubt);
    if (this.#clearing === undefined) this.#beginClearing();
  }

  #beginClearing(): void {
    this.#clearing = this.#clear().finally(() => {
      this.#clearing = undefined;
      // One that came when the last had just been settled.
      if (this.#doubts.size > 0) this.#beginClearing();
    });
  }

  /** Finds out about every doubt. Never fails. */
  async #clear(): Promise<void> {
    const { ownership } = this.#options;
    try {
      for (const doubt of this.#doubts) {
        if (doubt.claim === ownership.claim) await ownership.reclaim();
        const applied = await this.#find(doubt);
        this.#doubts.delete(doubt);
        doubt.settle(applied);
      }
    } catch (error) {
      // Closed meanwhile; else there is nothing more to be had of this store.
      if (ownership.life.ended === undefined) ownership.lose(error);
      for (const { fail } of this.#doubts) fail(error);
      this.#doubts.clear();
    }
  }

  /** Whether a commit was applied that can land no more. */
  #find({ proof, undo }: Doubt): Promise<boolean> {
    const { store, ownership, env } = this.#options;
    if (proof === undefined) return Promise.resolve(false);
    return persist(env, ownership.life, () =>
      bounded(env, DEFAULT_TIMEOUT_MS, async (call) => {
        if ((await store.read(proof.key, call)) === undefined) return false;
        if (!undo) return true;
        await store.commit([ownership.assertion(), ...proof.undo()], call);
        return false;
      }),
    );
  }
}

/** Without the outcome of the assertion. */
function withoutFirst(done: CommitOutcome): CommitOutcome {
  return { ...done, outcomes: done.outcomes.slice(1) };
}

function unknown(operation: string, cause: unknown): StrataError {
  return failure(
    'unknown-outcome',
    operation,
    'the journal may have taken the write, and can no longer find out',
    { cause },
  );
}
