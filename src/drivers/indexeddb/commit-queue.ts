import type { Call } from '../../store/call.ts';
import { cloneValue } from '../../store/clone.ts';
import type { Env, Timer } from '../../store/env.ts';
import { invalidArgument, isStrataError } from '../../store/errors.ts';
import type { CommitOutcome, PagedWrites, Write } from '../../store/primitives.ts';
import { randomId, WriteIds } from '../../store/version.ts';
import { settle } from './clean-mark.ts';
import type { Connection } from './connection.ts';
import { isLost, OutcomeUnknown, toFailure } from './failure.ts';
import type { GroupPlan, Pending } from './group-plan.ts';
import type { History } from './history.ts';
import { writePages } from './paged-commit.ts';
import { abandon, completion } from './requests.ts';
import { ALL_STORES, type State } from './schema.ts';
import { isStored, readBefore, writeWhole } from './stored-group.ts';

/** Writes that share one transaction at most; a single commit may be larger. */
const GROUP_WRITES = 4_096;
/** Without a commit for so long, relaxed commits are made durable. */
const QUIET_MS = 250;

export interface CommitQueueOptions<V> {
  readonly env: Env;
  readonly connection: Connection;
  readonly history: History<V>;
  readonly relaxed: boolean;
  /** Called after each transaction that changed something; `expires` when it stored an expiry. */
  onCommit(state: State, expires: boolean): void;
}

/**
 * Commits, one transaction at a time: those that arrive while one is under way go together into
 * the next, planned in order, each with its own revision and outcome.
 */
export class CommitQueue<V> {
  readonly #options: CommitQueueOptions<V>;
  readonly #ids: WriteIds;
  readonly #waiting: Set<Pending<V>> = new Set();
  #working: Promise<void> | undefined;
  /** Id of the commits that this queue makes in a row; renewed when one fails. */
  #run: string;
  /** Whether the store is known to bear the mark of relaxed commits. */
  #unsettled = false;
  #quiet: Timer | undefined;

  constructor(options: CommitQueueOptions<V>) {
    this.#options = options;
    this.#ids = new WriteIds(options.env);
    this.#run = randomId(options.env);
  }

  commit(given: readonly Write<V>[], call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    const { operation } = call;
    return this.#enqueue({ writes: given.map((write) => ownWrite(operation, write)) }, call);
  }

  /** A commit whose writes come in pages, in a transaction of its own. */
  commitPages(pages: PagedWrites<V>, call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    return this.#enqueue({ writes: [], pages }, call);
  }

  #enqueue(what: Pick<Pending<V>, 'writes' | 'pages'>, call: Call): Promise<CommitOutcome> {
    const { operation } = call;
    return new Promise((resolve, reject) => {
      const forget = call.onEnd((error) => {
        if (this.#waiting.delete(pending)) reject(error);
      });
      const pending: Pending<V> = {
        operation,
        ...what,
        begin: () => {
          if (call.ended !== undefined) return false;
          call.markSent();
          return true;
        },
        resolve: (outcome) => {
          forget();
          resolve(outcome);
        },
        reject: (error) => {
          forget();
          reject(call.ended ?? toFailure(error, operation, call.key));
        },
      };
      this.#waiting.add(pending);
      this.#working ??= this.#work();
    });
  }

  /** Waits for what was accepted. */
  async close(): Promise<void> {
    await this.#working;
    this.#quiet?.cancel();
    if (this.#unsettled) await this.#settle();
  }

  async #work(): Promise<void> {
    // Whoever commits in the same turn shares the first transaction.
    await undefined;
    while (this.#waiting.size > 0) await this.#finish(this.#take());
    this.#working = undefined;
  }

  #take(): Pending<V>[] {
    const group: Pending<V>[] = [];
    let writes = 0;
    for (const pending of this.#waiting) {
      writes += pending.writes.length;
      const { pages } = pending;
      if ((pages !== undefined || writes > GROUP_WRITES) && group.length > 0) break;
      group.push(pending);
      this.#waiting.delete(pending);
      if (pages !== undefined) break;
    }
    return group;
  }

  async #finish(group: readonly Pending<V>[]): Promise<void> {
    try {
      await this.#store(group);
    } catch (error) {
      const { code } = toFailure(error, 'commit');
      // One of them is too large or holds what cannot be stored: the others shall not fail for it.
      if (group.length > 1 && (code === 'no-space' || code === 'invalid-argument'))
        for (const pending of group) await this.#finish([pending]);
      else for (const pending of group) pending.reject(error);
    }
  }

  async #store(group: readonly Pending<V>[]): Promise<void> {
    const { connection } = this.#options;
    for (let tries = 1; ; ) {
      const db = await connection.open(group[0]?.operation ?? 'commit');
      try {
        if (await this.#attempt(db, group)) return;
      } catch (error) {
        // Nothing of it was applied.
        this.#run = randomId(this.#options.env);
        if (tries++ > 1 || !isLost(error)) throw error;
        connection.drop(db);
      }
    }
  }

  /** Plans and stores a group; false when it is to be tried again with strict durability. */
  async #attempt(db: IDBDatabase, group: readonly Pending<V>[]): Promise<boolean> {
    const { env, history, relaxed, onCommit } = this.#options;
    const [{ pages }] = group as [Pending<V>];
    const lenient = relaxed && this.#unsettled && pages === undefined;
    const durability = lenient ? 'relaxed' : 'strict';
    const tx = db.transaction(ALL_STORES, 'readwrite', { durability });
    const over = completion(tx);
    let from: State;
    let state: State;
    let plan: Pick<GroupPlan<V>, 'commits' | 'expires' | 'answers'>;
    try {
      const before = await readBefore(tx, group);
      from = before.state;
      await history.note(tx, from);
      // Another tab has settled the store: its mark must be set again, durably, before anything else.
      this.#unsettled = from.unsettled === true;
      if (lenient && !this.#unsettled) {
        await abandon(tx, over);
        return false;
      }
      const by = { run: this.#run, relaxed, nowMs: env.now(), ids: this.#ids };
      const write = pages === undefined ? writeWhole<V> : writePages<V>;
      ({ state, plan } = await write(tx, before, group, by));
      tx.commit();
    } catch (error) {
      await abandon(tx, over);
      // A request says only that it fell with its transaction.
      throw tx.error ?? error;
    }
    await this.#ending(over, from, state);
    history.add(plan.commits, state);
    for (const answer of plan.answers) answer();
    if (state === from) return true;
    if (relaxed) this.#settleWhenQuiet();
    onCommit(state, plan.expires);
    return true;
  }

  /** Waits for the transaction's end; where a lost connection hides it, looks what became of it. */
  async #ending(over: Promise<void>, from: State, state: State): Promise<void> {
    try {
      await over;
    } catch (error) {
      if (state === from || !isLost(error)) throw error;
      if (!(await this.#wasStored(from.rev + 1))) throw error;
    }
  }

  async #wasStored(rev: number): Promise<boolean> {
    const run = this.#run;
    try {
      const { connection } = this.#options;
      return await connection.run('commit', undefined, (db) => isStored(db, rev, run));
    } catch (cause) {
      throw new OutcomeUnknown(cause);
    }
  }

  #settleWhenQuiet(): void {
    this.#unsettled = true;
    this.#quiet?.cancel();
    this.#quiet = this.#options.env.setTimer(() => this.#settle(), QUIET_MS, { background: true });
  }

  async #settle(): Promise<void> {
    // From here on commits set the mark again.
    this.#unsettled = false;
    try {
      await this.#options.connection.run('settle', undefined, settle);
    } catch {
      // The mark stays, which costs a new epoch at worst.
      this.#quiet = undefined;
    }
  }
}

/** A copy that the caller cannot change any more. */
function ownWrite<V>(operation: string, write: Write<V>): Write<V> {
  if (write.type === 'delete') return write;
  try {
    return { ...write, value: cloneValue(write.value) };
  } catch (cause) {
    if (!isStrataError(cause, 'invalid-argument')) throw cause;
    const { key, value } = write;
    const expected = 'data that can be cloned and stored';
    throw invalidArgument(operation, 'the value', value, expected, key);
  }
}
