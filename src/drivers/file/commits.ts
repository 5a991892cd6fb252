import { sameBytes } from '../../store/clone.ts';
import type { EntryHead } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { failure, StrataError } from '../../store/errors.ts';
import { type CommitPlan, type Planned, planCommit, type Standing } from '../../store/feed/plan.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';
import { randomId, WriteIds } from '../../store/version.ts';
import type { PendingCommit } from './commit-queue.ts';
import type { FileEngine } from './engine.ts';
import { isFlushFailure, toStrataError } from './file-errors.ts';
import type { Layout, Shard } from './layout.ts';
import type { LayoutEditor } from './layout-editor.ts';
import { nameOf } from './names.ts';
import { encodeHead, type RecordHead } from './record.ts';

/** So many files are written and flushed side by side. */
const WRITERS = 8;

export interface CommitsOptions {
  readonly engine: FileEngine;
  readonly editor: LayoutEditor;
  readonly env: Env;
  /** Whether files and folders are flushed before a commit is acknowledged. */
  readonly flush: boolean;
}

/** One change of a commit, with the file that is to take its place. */
interface Step {
  readonly planned: Planned<Uint8Array>;
  readonly name: string;
  /** Absent for a delete. */
  readonly temporary?: string;
}

/** A commit that is planned, with what its files will hold. */
interface Job {
  readonly operation: string;
  readonly plan: CommitPlan<Uint8Array>;
  readonly steps: readonly Step[];
}

/** Plans commits against what is on disk and puts their files in place. */
export class Commits {
  readonly #options: CommitsOptions;
  readonly #layout: Layout;
  readonly #ids: WriteIds;
  readonly #session: string;
  #files = 0;
  /** Keys that synchronous commits have written since the round under way was planned. */
  #touched: Set<string> | undefined;
  /** Whether a round is under way: its flushes count on the folders being where they are. */
  #inRound = false;
  /** Shards that may have come to be split or removed. */
  readonly #untended = new Set<string>();
  /** Why nothing more is written: what the disk has is not known. */
  #broken: StrataError | undefined;

  constructor(options: CommitsOptions) {
    this.#options = options;
    this.#layout = options.engine.layout;
    this.#ids = new WriteIds(options.env);
    this.#session = randomId(options.env);
  }

  /** Runs commits of which no two touch the same key; gives back those that a synchronous commit came before. */
  async runRound(round: readonly PendingCommit[]): Promise<readonly PendingCommit[]> {
    this.#inRound = true;
    this.#touched = new Set();
    const jobs = new Map<PendingCommit, Job>();
    for (const pending of round) {
      try {
        this.#checkWhole(pending.operation);
        jobs.set(pending, this.#plan(pending.operation, pending.writes));
      } catch (error) {
        pending.fail(error);
      }
    }
    const written = await this.#writeAll(jobs);
    const again: PendingCommit[] = [];
    const shards = new Map<string, Shard>();
    const applied: PendingCommit[] = [];
    const touched = this.#touched;
    this.#touched = undefined;
    for (const [pending, job] of written) {
      const { call } = pending;
      if (pending.writes.some(({ key }) => touched.has(key)) || call.ended !== undefined) {
        this.#discard(job);
        if (call.ended === undefined) again.push(pending);
        else pending.fail(call.ended);
        continue;
      }
      // From here on nothing can call it back.
      call.markSent();
      try {
        this.#apply(job, shards);
        applied.push(pending);
      } catch (error) {
        pending.fail(error);
      }
    }
    await this.#settle(applied, jobs, shards);
    return again;
  }

  /** One commit, now. */
  runNow(operation: string, writes: readonly Write<Uint8Array>[]): CommitOutcome {
    const { flush } = this.#options;
    const { disk } = this.#layout;
    this.#checkWhole(operation);
    const job = this.#plan(operation, writes);
    try {
      for (const step of job.steps)
        if (step.temporary !== undefined)
          disk.write(step.temporary, partsOf(step, this.#ids), flush);
    } catch (error) {
      this.#noteFlush(error);
      this.#discard(job);
      throw toStrataError(error, operation);
    }
    const shards = new Map<string, Shard>();
    for (const { key } of writes) this.#touched?.add(key);
    this.#apply(job, shards);
    try {
      if (flush) for (const { path } of shards.values()) disk.flushFolder(path);
    } catch (error) {
      throw this.#unsure(error, operation);
    }
    this.#tend(shards.keys());
    return outcomeOf(job);
  }

  /** Removes an entry that has expired; false where it has not. */
  removeExpired(key: string): boolean {
    const { engine, editor } = this.#options;
    const head = engine.head(key);
    if (this.#broken !== undefined || head === undefined || !engine.isExpired(head)) return false;
    const shard = this.#layout.shardOf(nameOf(key));
    if (!this.#layout.disk.remove(`${shard.path}/${nameOf(key)}`)) return false;
    editor.count(shard, -1);
    this.#tend([shard.bound]);
    return true;
  }

  #plan(operation: string, writes: readonly Write<Uint8Array>[]): Job {
    const plan = planCommit<Uint8Array>({
      operation,
      writes,
      rev: 0,
      nowMs: Math.floor(this.#options.env.now()),
      ids: this.#ids,
      standing: (key) => this.#standing(operation, key, writes),
    });
    const steps = plan.changes.map((planned): Step => {
      const name = nameOf(planned.key);
      if (planned.type === 'delete') return { planned, name };
      const file = `${this.#session}-${(++this.#files).toString(36)}`;
      return { planned, name, temporary: `${this.#layout.places.temporary}/${file}` };
    });
    return { operation, plan, steps };
  }

  #standing(
    operation: string,
    key: string,
    writes: readonly Write<Uint8Array>[],
  ): Standing<Uint8Array> | undefined {
    const place = { rev: 0, pos: 0 };
    let head: RecordHead | undefined;
    try {
      head = this.#options.engine.head(key);
    } catch (error) {
      const failed = toStrataError(error, operation, key);
      const damaged = failed instanceof StrataError && failed.code === 'corrupt';
      // A damaged entry can be replaced or removed, but nothing can be said of its version.
      if (!damaged || writes.some((write) => write.key === key && write.if !== undefined))
        throw failed;
      return { ...place, live: { key, version: '', modifiedAt: 0 } };
    }
    if (head === undefined || this.#options.engine.isExpired(head)) return undefined;
    const live = head.entryHead();
    if (!head.immutable) return { ...place, live };
    const stored = (): Uint8Array | undefined => this.#options.engine.readValue(operation, key);
    return {
      ...place,
      live,
      sameValue: (value) => sameBytes(stored() ?? new Uint8Array(0), value),
    };
  }

  /** Writes the files of all jobs beside the store; those that could not be fail, and are left out. */
  async #writeAll(jobs: ReadonlyMap<PendingCommit, Job>): Promise<Map<PendingCommit, Job>> {
    const written = new Map(jobs);
    const files: { readonly pending: PendingCommit; readonly job: Job; readonly step: Step }[] = [];
    for (const [pending, job] of jobs)
      for (const step of job.steps)
        if (step.temporary !== undefined) files.push({ pending, job, step });
    const failed = new Map<PendingCommit, unknown>();
    const work = async (): Promise<void> => {
      for (let next = files.shift(); next !== undefined; next = files.shift()) {
        const { pending, step } = next;
        if (failed.has(pending) || this.#broken !== undefined) continue;
        try {
          const path = step.temporary as string;
          await this.#layout.disk.writeLater(path, partsOf(step, this.#ids), this.#options.flush);
        } catch (error) {
          this.#noteFlush(error);
          failed.set(pending, error);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(WRITERS, files.length) }, work));
    for (const [pending, job] of jobs) {
      const error = failed.get(pending) ?? this.#broken;
      if (error === undefined) continue;
      written.delete(pending);
      this.#discard(job);
      pending.fail(toStrataError(error, pending.operation));
    }
    return written;
  }

  /** Puts the files of a job in place: what is read from then on is the new state. */
  #apply(job: Job, shards: Map<string, Shard>): void {
    const { disk } = this.#layout;
    const done: string[] = [];
    for (const [at, { planned, name, temporary }] of job.steps.entries()) {
      const shard = this.#layout.shardOf(name);
      const path = `${shard.path}/${name}`;
      try {
        if (temporary === undefined) {
          if (disk.remove(path)) this.#options.editor.count(shard, -1);
        } else {
          const isNew = disk.readStart(path, 0) === undefined;
          disk.rename(temporary, path);
          if (isNew) this.#options.editor.count(shard, 1);
        }
      } catch (error) {
        this.#discard({ ...job, steps: job.steps.slice(at) });
        throw partly(toStrataError(error, job.operation, planned.key), done, planned.key);
      }
      shards.set(shard.bound, shard);
      done.push(planned.key);
    }
  }

  async #settle(
    applied: readonly PendingCommit[],
    jobs: ReadonlyMap<PendingCommit, Job>,
    shards: ReadonlyMap<string, Shard>,
  ): Promise<void> {
    const { disk } = this.#layout;
    try {
      if (this.#options.flush)
        await Promise.all(Array.from(shards.values(), ({ path }) => disk.flushFolderLater(path)));
    } catch (error) {
      for (const { operation, fail } of applied) fail(this.#unsure(error, operation));
      return;
    } finally {
      this.#inRound = false;
    }
    for (const pending of applied) pending.succeed(outcomeOf(jobs.get(pending) as Job));
    this.#tend(shards.keys());
  }

  #tend(bounds: Iterable<string>): void {
    for (const bound of bounds) this.#untended.add(bound);
    if (this.#inRound || this.#broken !== undefined) return;
    const all = [...this.#untended];
    this.#untended.clear();
    try {
      this.#options.editor.tend(all);
    } catch (error) {
      this.#unsure(error, 'set');
    }
  }

  /** Removes files that will not be used; what stays goes when the store is opened next. */
  #discard({ steps }: Pick<Job, 'steps'>): void {
    const paths = steps.flatMap(({ temporary }) => temporary ?? []);
    try {
      for (const path of paths) this.#layout.disk.remove(path);
    } catch (error) {
      // The failure that led here is the one to be told.
      this.#noteFlush(error);
    }
  }

  #checkWhole(operation: string): void {
    if (this.#broken === undefined) return;
    throw failure(
      'unavailable',
      operation,
      `nothing more is written since the disk failed (${this.#broken.message}); open the store again`,
      { cause: this.#broken, retryable: false },
    );
  }

  /** After a failed flush the system may take lost data for written: nothing is tried again. */
  #noteFlush(error: unknown): void {
    if (isFlushFailure(error)) this.#unsure(error, 'set');
  }

  #unsure(cause: unknown, operation: string): StrataError {
    const why = cause instanceof Error ? cause.message : String(cause);
    const error = failure('unknown-outcome', operation, `what is on disk is not known: ${why}`, {
      cause,
    });
    this.#broken ??= failure('unavailable', operation, why, { cause, retryable: false });
    return error;
  }
}

function partsOf({ planned }: Step, ids: WriteIds): Uint8Array[] {
  if (planned.type === 'delete') return [];
  const { head, write, writeId, key } = planned;
  const fields = {
    ...head,
    writeId: (into: Uint8Array, offset: number): void => ids.write(writeId, into, offset),
  };
  return [encodeHead(key, fields, write.value), write.value];
}

function outcomeOf({ plan }: Job): CommitOutcome {
  return {
    outcomes: plan.outcomes.map((one) =>
      one.entry === undefined ? one : { ...one, entry: withoutRev(one.entry) },
    ),
  };
}

/** The store has no revisions. */
function withoutRev({ rev: _, ...head }: EntryHead): EntryHead {
  return head;
}

/** A failure in the midst of a batch: it says which keys have their new state. */
function partly(error: unknown, applied: readonly string[], key: string): unknown {
  if (!(error instanceof StrataError) || applied.length === 0) return error;
  const { code, operation, retryable, details } = error;
  return new StrataError(code, `${error.message}; ${applied.length} keys before it were written`, {
    operation,
    key,
    retryable,
    cause: error,
    details: { ...details, applied },
  });
}
