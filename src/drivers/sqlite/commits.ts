import { sameBytes } from '../../store/clone.ts';
import type { Change } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import type { CommitLog } from '../../store/feed/commit-log.ts';
import { Envelope, encodeEnvelope } from '../../store/feed/envelope.ts';
import { type CommitPlan, planCommit, type Standing } from '../../store/feed/plan.ts';
import type { CommitOutcome, Position, Write } from '../../store/primitives.ts';
import { randomId, WriteIds } from '../../store/version.ts';
import type { PendingCommit } from './commit-queue.ts';
import { ENVELOPES, type SqliteEngine } from './engine.ts';
import { isBusy, isUnwritten, toStrataError } from './sqlite-errors.ts';
import { TOMBSTONE_OVERHEAD_BYTES } from './tables.ts';
import type { Tombstones } from './tombstones.ts';
import type { WriteLock } from './write-lock.ts';

/** Ids of old commits are let go in steps of so many. */
const TRIM_EVERY_COMMITS = 1_024;
/** Times are kept in 48 bits. */
const MAX_TIME_MS: number = 2 ** 48 - 1;

export interface CommitsOptions {
  readonly engine: SqliteEngine;
  readonly env: Env;
  readonly lock: WriteLock;
  readonly log: CommitLog<Uint8Array>;
  readonly tombstones: Tombstones;
  /** How many of the last commits keep their id. */
  readonly commitsKept: number;
  /** Called after each transaction that changed something. */
  readonly onCommit: () => void;
}

/** A commit that is applied in the running transaction. */
interface Applied {
  readonly pending: PendingCommit;
  readonly outcome: CommitOutcome;
  readonly changes: readonly Change<Uint8Array>[];
  /** Absent where nothing changed. */
  readonly end?: Position;
}

/** A commit that fails by itself. */
interface Refused {
  readonly pending: PendingCommit;
  readonly error: StrataError;
}

/** Plans commits against the stored state and applies them, many in one transaction. */
export class Commits {
  readonly #options: CommitsOptions;
  readonly #ids: WriteIds;

  constructor(options: CommitsOptions) {
    this.#options = options;
    this.#ids = new WriteIds(options.env);
  }

  /** Runs a group in one transaction and settles each commit; false when the lock is held elsewhere. */
  runGroup(group: readonly PendingCommit[]): boolean {
    const { lock } = this.#options;
    const [first] = group;
    if (first === undefined) return true;
    if (!lock.tryBegin(first.operation)) return false;
    if (!this.#runBegun(group)) {
      // One of them cannot be stored, which is no reason to fail the others.
      for (const pending of group) {
        try {
          lock.begin(pending.operation);
        } catch (error) {
          pending.fail(error);
          continue;
        }
        this.#runBegun([pending]);
      }
    }
    return true;
  }

  /** One commit, now; waits for the lock. */
  runNow(operation: string, writes: readonly Write<Uint8Array>[]): CommitOutcome {
    let outcome: CommitOutcome | undefined;
    let failure: unknown;
    this.#options.lock.begin(operation);
    this.#runBegun([
      {
        operation,
        writes,
        succeed: (done) => {
          outcome = done;
        },
        fail: (error) => {
          failure = error;
        },
      },
    ]);
    if (outcome === undefined) throw failure;
    return outcome;
  }

  /** Runs a group in the transaction just begun; false, with nothing applied or settled, when a group of several is to be tried one by one. */
  #runBegun(group: readonly PendingCommit[]): boolean {
    const { engine, lock } = this.#options;
    const refused: Refused[] = [];
    let applied: Applied[];
    try {
      applied = this.#applyAll(group, refused);
    } catch (error) {
      lock.rollBack();
      if (group.length > 1) return false;
      for (const { operation, fail } of group) fail(toStrataError(error, operation, engine.path));
      return true;
    }
    try {
      lock.commit();
    } catch (error) {
      lock.rollBack();
      // Also what was refused: that may have been for a commit that now never was.
      for (const { pending } of [...applied, ...refused])
        pending.fail(commitFailure(error, pending.operation, engine.path));
      return true;
    }
    for (const { pending, error } of refused) pending.fail(error);
    this.#settle(applied);
    return true;
  }

  #applyAll(group: readonly PendingCommit[], refused: Refused[]): Applied[] {
    const { engine, env, commitsKept, tombstones } = this.#options;
    const nowMs = Math.floor(env.now());
    const { epoch, rev: headRev } = engine.head().head;
    // Drawing random bytes costs as much as a commit: one id for all, and a number.
    const groupId = randomId(env);
    const applied: Applied[] = [];
    let rev = headRev;
    let buriedBytes = 0;
    for (const pending of group) {
      // From here to the end of the transaction nothing can call it back.
      pending.call?.markSent();
      const graves = new Set<string>();
      let plan: CommitPlan<Uint8Array>;
      try {
        plan = this.#plan(pending, rev + 1, nowMs, graves);
      } catch (error) {
        if (!(error instanceof StrataError)) throw error;
        refused.push({ pending, error });
        continue;
      }
      const { outcomes } = plan;
      if (plan.rev === undefined) {
        applied.push({ pending, outcome: { outcomes }, changes: [] });
        continue;
      }
      rev = plan.rev;
      const end: Position = { epoch, rev, id: `${groupId}${(rev - headRev).toString(36)}` };
      const changes = this.#apply(plan, nowMs);
      engine.tables.addCommit.run(rev, end.id);
      buriedBytes += buried(plan, graves);
      applied.push({ pending, outcome: { rev, outcomes }, changes, end });
    }
    if (buriedBytes !== 0) tombstones.add(buriedBytes, nowMs);
    if (Math.floor(rev / TRIM_EVERY_COMMITS) > Math.floor(headRev / TRIM_EVERY_COMMITS))
      engine.tables.trimCommits.run(rev - commitsKept);
    return applied;
  }

  #plan(
    { operation, writes }: PendingCommit,
    rev: number,
    nowMs: number,
    graves: Set<string>,
  ): CommitPlan<Uint8Array> {
    return planCommit<Uint8Array>({
      operation,
      writes,
      rev,
      nowMs,
      ids: this.#ids,
      standing: (key) => this.#standing(key, writes, nowMs, graves),
    });
  }

  /** What stands under a key; tombstones are noted in `graves`. */
  #standing(
    key: string,
    writes: readonly Write<Uint8Array>[],
    nowMs: number,
    graves: Set<string>,
  ): Standing<Uint8Array> | undefined {
    const row = this.#options.engine.tables.find.first(Buffer.from(key));
    if (row === undefined) return undefined;
    const [rev, pos, stored] = row;
    if (stored === null) {
      graves.add(key);
      return { rev, pos };
    }
    let envelope: Envelope;
    try {
      envelope = new Envelope(ENVELOPES, key, stored);
    } catch (error) {
      // A damaged entry can be replaced or removed, but nothing can be said of its version.
      if (writes.some((write) => write.key === key && write.if !== undefined)) throw error;
      return { rev, pos, live: { key, version: '', rev, modifiedAt: 0 } };
    }
    const { expiresAt } = envelope;
    if (expiresAt !== undefined && expiresAt <= nowMs) return { rev, pos };
    const live = envelope.head();
    if (!envelope.immutable) return { rev, pos, live };
    return { rev, pos, live, sameValue: (value) => sameBytes(envelope.value, value) };
  }

  #apply(plan: CommitPlan<Uint8Array>, nowMs: number): Change<Uint8Array>[] {
    const { put } = this.#options.engine.tables;
    return plan.changes.map((planned): Change<Uint8Array> => {
      const { key, rev, pos } = planned;
      const keyBytes = Buffer.from(key);
      if (planned.type === 'delete') {
        put.run(keyBytes, rev, pos, null, nowMs, null);
        return { type: 'delete', key, rev };
      }
      const { head, writeId, write } = planned;
      const fields = {
        ...head,
        rev,
        pos,
        writeId: (into: Uint8Array, offset: number) => this.#ids.write(writeId, into, offset),
      };
      const entry = encodeEnvelope(ENVELOPES, fields, write.value);
      const expiresAt =
        head.expiresAt === undefined ? null : Math.min(Math.floor(head.expiresAt), MAX_TIME_MS);
      put.run(keyBytes, rev, pos, expiresAt, null, entry);
      // The engine's own copy of the bytes: the log keeps it.
      const value = entry.subarray(entry.length - write.value.length);
      return { ...head, type: 'set', value };
    });
  }

  #settle(applied: readonly Applied[]): void {
    const { log, onCommit } = this.#options;
    let changed = false;
    for (const { changes, end } of applied) {
      if (end === undefined) continue;
      log.append(changes, end);
      changed = true;
    }
    for (const { pending, outcome } of applied) pending.succeed(outcome);
    if (changed) onCommit();
  }
}

/** By how much a commit changes the size of the tombstones. */
function buried(plan: CommitPlan<Uint8Array>, graves: ReadonlySet<string>): number {
  let bytes = 0;
  for (const { type, key } of plan.changes) {
    const size = TOMBSTONE_OVERHEAD_BYTES + Buffer.byteLength(key);
    if (type === 'delete') bytes += size;
    if (graves.has(key)) bytes -= size;
  }
  return bytes;
}

/** A transaction that failed at its very end. Where its last frame may have been written, it may come back after a crash. */
function commitFailure(error: unknown, operation: string, path: string): unknown {
  const failure = toStrataError(error, operation, path);
  if (!(failure instanceof StrataError)) return failure;
  if (failure.code === 'no-space' || isBusy(error) || isUnwritten(error)) return failure;
  return new StrataError('unknown-outcome', failure.message, { operation, cause: error });
}
