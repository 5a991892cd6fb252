import type { JournalWrite } from '../../../kernel/journal/journal.ts';
import { sameValue } from '../../../store/clone.ts';
import type { Entry, EntryHead } from '../../../store/entry.ts';
import { failure } from '../../../store/errors.ts';
import { type CommitPlan, planCommit, type Standing } from '../../../store/feed/plan.ts';
import type { CommitOutcome, Write } from '../../../store/primitives.ts';
import type { WriteIds } from '../../../store/version.ts';
import { type Base, beneath, encodeBase, OWN } from './base.ts';
import { entryOf } from './pending-writes.ts';

/** Stands for the number that the journal will give. */
const UNNUMBERED = -1;

/** A key as a commit meets it. */
export interface Met<V> {
  /** The entry, whether expired or not; absent where there is none. */
  readonly entry: Entry<V> | undefined;
  readonly base: Base;
  /** Whether the write beneath is a pending delete. */
  readonly deleted?: boolean;
  /** The back did not answer. */
  readonly failure?: unknown;
}

export interface PlanSetup<V> {
  readonly operation: string;
  readonly writes: readonly Write<V>[];
  readonly nowMs: number;
  readonly ids: WriteIds;
  /** Whether the back's versions are kept in mind, for conflicts. */
  readonly tracksBase: boolean;
  meet(key: string): Met<V>;
  /** Whether the journal holds a write of a key that is not pending. */
  isHeld(key: string): boolean;
}

/** A commit that is decided, before the journal has it. */
export class PlannedCommit<V> {
  readonly writes: readonly JournalWrite<V>[];
  readonly #plan: CommitPlan<V>;
  readonly #bases: readonly Base[];

  private constructor(
    plan: CommitPlan<V>,
    writes: readonly JournalWrite<V>[],
    bases: readonly Base[],
  ) {
    this.#plan = plan;
    this.writes = writes;
    this.#bases = bases;
  }

  /** Errors: `conflict`, naming the key; `unavailable` where the back would have to be asked and is away. */
  static plan<V>(setup: PlanSetup<V>): PlannedCommit<V> {
    const { operation, writes, nowMs, ids, tracksBase } = setup;
    const met = new Map<string, Met<V>>();
    const conditional = new Set(writes.filter((write) => write.if).map(({ key }) => key));
    const deleted = new Set(writes.filter(({ type }) => type === 'delete').map(({ key }) => key));
    const standing = (key: string): Standing<V> | undefined => {
      const found = setup.meet(key);
      met.set(key, found);
      if (found.failure === undefined) return standingOf(found.entry, nowMs);
      if (conditional.has(key)) throw away(operation, key, found.failure);
      return deleted.has(key) ? assumed(key) : undefined;
    };
    const plan = planCommit<V>({ operation, writes, rev: UNNUMBERED, nowMs, ids, standing });
    const changed = new Set(plan.changes.map(({ key }) => key));
    // A delete that finds nothing counts all the same over a pending write that leaves nothing, which
    // may be in the back already, beneath what others wrote since; and over what a crash would bring back.
    const leavesNothing = ({ deleted: gone, entry }: Met<V>): boolean =>
      gone === true || entry !== undefined;
    const again = [...deleted].filter(
      (key) => !changed.has(key) && (leavesNothing(met.get(key) as Met<V>) || setup.isHeld(key)),
    );
    const baseUnder = (key: string): Base => nextBase(met.get(key) as Met<V>, tracksBase);
    const remove = (key: string): JournalWrite<V> => {
      const version = ids.text(ids.next());
      return { type: 'delete', key, version, modifiedAt: nowMs, ...stampOf(baseUnder(key)) };
    };
    const journaled = plan.changes.map((change): JournalWrite<V> => {
      const { key } = change;
      if (change.type === 'delete') return remove(key);
      const { rev: _, ...head } = change.head;
      return { type: 'set', ...head, value: change.write.value, ...stampOf(baseUnder(key)) };
    });
    const all = [...journaled, ...again.map(remove)];
    const bases = all.map(({ key }) => baseUnder(key));
    return new PlannedCommit(plan, all, bases);
  }

  /** Whether it changes nothing, so that there is nothing to keep. */
  get isEmpty(): boolean {
    return this.writes.length === 0;
  }

  /** What it leaves under its keys, for the commits decided after it and before the journal has it. */
  *left(): Generator<readonly [key: string, met: Met<V>]> {
    for (const [i, write] of this.writes.entries()) {
      const base = this.#bases[i];
      if (write.type === 'delete') yield [write.key, { entry: undefined, base, deleted: true }];
      else yield [write.key, { entry: entryOf(write, UNNUMBERED), base }];
    }
  }

  /** What the caller hears. `revOf` gives the numbers of versions that were decided together with it. */
  outcome(rev: number | undefined, revOf: (version: string) => number | undefined): CommitOutcome {
    const numbered = (head: EntryHead): EntryHead =>
      head.rev === UNNUMBERED ? { ...head, rev: revOf(head.version) ?? rev ?? 0 } : head;
    const outcomes = this.#plan.outcomes.map(({ existed, entry }) =>
      entry === undefined ? { existed } : { existed, entry: numbered(entry) },
    );
    return rev === undefined ? { outcomes } : { rev, outcomes };
  }
}

function standingOf<V>(entry: Entry<V> | undefined, nowMs: number): Standing<V> | undefined {
  if (entry === undefined) return undefined;
  const { value, ...head } = entry;
  if (entry.expiresAt !== undefined && entry.expiresAt <= nowMs) return { rev: 0, pos: 0 };
  return { rev: 0, pos: 0, live: head, sameValue: (other) => sameValue(value, other) };
}

function stampOf(base: Base): { readonly base?: string } {
  const text = encodeBase(base);
  return text === undefined ? {} : { base: text };
}

/** Nobody could say whether the key is there: then it is, so that its delete reaches the back. */
function assumed<V>(key: string): Standing<V> {
  return { rev: 0, pos: 0, live: { key, version: '', modifiedAt: 0 } };
}

/**
 * What the back holds beneath the next write of a key. Over a pending delete a set is sure to be in
 * its right, whatever immutable entry the back still has.
 */
function nextBase<V>({ base, deleted, entry }: Met<V>, tracksBase: boolean): Base {
  if (tracksBase) return beneath(base, deleted === true ? 0 : entry?.expiresAt);
  return deleted === true ? OWN : base;
}

function away(operation: string, key: string, cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  return failure('unavailable', operation, 'the back of the tiered store is away', { key, cause });
}
