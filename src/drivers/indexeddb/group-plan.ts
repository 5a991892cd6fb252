import { sameValue } from '../../store/clone.ts';
import type { Change } from '../../store/entry.ts';
import { type Planned, planCommit, type Standing } from '../../store/feed/plan.ts';
import type { CommitOutcome, PagedWrites, Write } from '../../store/primitives.ts';
import type { WriteIds } from '../../store/version.ts';
import type { MadeCommit } from './history.ts';
import type { Stored } from './schema.ts';

/** A commit that waits for its turn. */
export interface Pending<V> {
  readonly operation: string;
  readonly writes: readonly Write<V>[];
  /** Its writes, where they come in pages; then it shares its transaction with no other. */
  readonly pages?: PagedWrites<V>;
  /** Whether its caller still waits; from a yes on, the commit may be applied at any time. */
  begin(): boolean;
  resolve(outcome: CommitOutcome): void;
  /** The caller's own end, where there is one, takes precedence. */
  reject(error: unknown): void;
}

/** What a group of commits does, made without touching anything. */
export interface GroupPlan<V> {
  /** Head after the group. */
  readonly rev: number;
  /** The commits that change something, in order. */
  readonly commits: readonly MadeCommit<V>[];
  /** What is to be stored: the last change of each key. */
  readonly last: ReadonlyMap<string, Planned<V>>;
  /** Whether something of it expires. */
  readonly expires: boolean;
  /** Answers the callers, once everything is stored. */
  readonly answers: readonly (() => void)[];
}

/**
 * Plans commits in order, each on the state that the ones before it leave behind: every one has
 * its own revision and its own outcome, and only the last change of a key needs to be stored.
 */
export function planGroup<V>(input: {
  readonly group: readonly Pending<V>[];
  /** Head before the group. */
  readonly rev: number;
  readonly nowMs: number;
  readonly ids: WriteIds;
  readonly records: ReadonlyMap<string, Stored<V>>;
  /** Place of the first change within its commit, for a page of one. */
  readonly firstPos?: number;
}): GroupPlan<V> {
  const { group, nowMs, ids, records, firstPos = 0 } = input;
  const last = new Map<string, Planned<V>>();
  const commits: MadeCommit<V>[] = [];
  const answers: (() => void)[] = [];
  const standing = (key: string): Standing<V> | undefined => {
    const planned = last.get(key);
    return planned === undefined
      ? standingOf(records.get(key), nowMs)
      : standingAfter(planned, nowMs);
  };
  let { rev } = input;
  for (const pending of group) {
    const { operation, writes } = pending;
    if (!pending.begin()) {
      answers.push(() => pending.reject(undefined));
      continue;
    }
    try {
      const at = { rev: rev + 1, nowMs, firstPos };
      const plan = planCommit<V>({ operation, writes, ...at, ids, standing });
      const { outcomes } = plan;
      answers.push(() =>
        pending.resolve(plan.rev === undefined ? { outcomes } : { rev: plan.rev, outcomes }),
      );
      if (plan.rev === undefined) continue;
      rev = plan.rev;
      for (const planned of plan.changes) last.set(planned.key, planned);
      commits.push({ rev, changes: plan.changes.map(changeOf) });
    } catch (error) {
      // A lost condition, perhaps against a commit of this very group: true once that is stored.
      answers.push(() => pending.reject(error));
    }
  }
  const expires = [...last.values()].some(
    (planned) => planned.type === 'set' && planned.head.expiresAt !== undefined,
  );
  return { rev, commits, last, expires, answers };
}

function standingOf<V>(record: Stored<V> | undefined, nowMs: number): Standing<V> | undefined {
  if (record === undefined) return undefined;
  const { value, pos, ...head } = record;
  if (isExpired(record, nowMs)) return { rev: record.rev, pos };
  return { rev: record.rev, pos, live: head, sameValue: (other) => sameValue(value, other) };
}

function standingAfter<V>(planned: Planned<V>, nowMs: number): Standing<V> {
  const { rev, pos } = planned;
  if (planned.type === 'delete' || isExpired(planned.head, nowMs)) return { rev, pos };
  const { value } = planned.write;
  return { rev, pos, live: planned.head, sameValue: (other) => sameValue(value, other) };
}

function changeOf<V>(planned: Planned<V>): Change<V> {
  const { key, rev } = planned;
  return planned.type === 'set'
    ? { ...planned.head, type: 'set', value: planned.write.value }
    : { type: 'delete', key, rev };
}

export function isExpired(entry: { readonly expiresAt?: number }, nowMs: number): boolean {
  return entry.expiresAt !== undefined && entry.expiresAt <= nowMs;
}
