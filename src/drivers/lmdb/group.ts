import type { EntryHead } from '../../store/entry.ts';
import type { IndexPlace } from '../../store/feed/plan.ts';
import type { CommitOutcome, SetWrite, Write } from '../../store/primitives.ts';
import { packChanges, type StoredPage } from './change-page.ts';
import { encodeCommit } from './commit-ids.ts';
import { encodeHead, type Head, type Tip } from './head.ts';
import type { PendingCommit } from './pending.ts';
import { expiryBytes, placeBytes, revBytes } from './places.ts';
import { HEAD_KEY, type Tables } from './tables.ts';

/** Counted for each remembered delete beside its key. */
const TOMBSTONE_OVERHEAD_BYTES = 96;

/** Records of a key's former change, which the one that replaces it clears away. */
export interface Trace extends IndexPlace {
  /** It was a delete. */
  readonly deleted: boolean;
  readonly expiresAt: number | undefined;
}

/** A planned change, on its way into the tables. */
export interface Change extends IndexPlace {
  readonly key: string;
  /** What it replaces in the tables, once the groups before its own are in them. */
  readonly trace: Trace | undefined;
  readonly group: Group;
  /** Absent for a delete. */
  readonly set: PlannedValue | undefined;
  /** It stands for an expired entry, at the entry's own place, and is written by the sweep. */
  readonly swept: boolean;
  /** A later commit of the same group has changed the key again. */
  superseded: boolean;
}

export interface PlannedValue {
  readonly write: SetWrite<Uint8Array>;
  readonly head: EntryHead;
  readonly envelope: Buffer;
}

/** A commit and what was planned for it; without changes where it fails or changes nothing. */
export interface Member {
  readonly pending: PendingCommit;
  readonly outcome: CommitOutcome | { readonly error: unknown };
  readonly changes: readonly Change[];
}

/** What maintenance changes beside the keys it removes. */
export interface Upkeep {
  readonly head?: Partial<Pick<Head, 'floor' | 'oldestCommit' | 'epoch'>>;
  readonly changesRemoved?: number;
  readonly staleRemoved?: number;
  readonly staleAdded?: number;
  readonly tombstoneBytes?: number;
  write(tables: Tables): void;
}

/**
 * Commits that go into one transaction, together with their part of the change index, their id,
 * and the new head; all on condition that the head is still the one they were planned upon.
 */
export class Group {
  readonly base: Tip;
  readonly members: Member[] = [];
  readonly upkeep: Upkeep[] = [];
  readonly listeners: ((applied: boolean) => void)[] = [];
  /** Deletes that the sweep makes of expired entries. */
  readonly swept: Change[] = [];
  /** Places in the index that this group makes stale. */
  readonly replaced: IndexPlace[] = [];
  /** The last revision given in it. */
  rev: number;
  writes = 0;
  bytes = 0;
  #tip: Tip | undefined;
  #pages: StoredPage[] = [];

  constructor(base: Tip) {
    this.base = base;
    this.rev = base.rev;
  }

  /** Whether there is anything to write. */
  get changesAnything(): boolean {
    return this.rev !== this.base.rev || this.upkeep.length > 0;
  }

  /** The head after it; to be asked for once it is sealed. */
  get tip(): Tip {
    if (this.#tip === undefined) throw new Error('the group is not sealed');
    return this.#tip;
  }

  *changes(): Generator<Change> {
    for (const { changes } of this.members) for (const change of changes) yield change;
  }

  /** Takes no more commits: settles what the tables will say of them. */
  seal(id: string, version: number): void {
    const { base, rev } = this;
    const indexed: Change[] = [];
    let { changes, stale, tombstoneBytes } = base;
    for (const change of this.changes()) {
      if (change.superseded) continue;
      indexed.push(change);
      const { key, trace } = change;
      if (change.set === undefined) tombstoneBytes += tombstoneSize(key);
      if (trace === undefined) continue;
      if (trace.deleted) tombstoneBytes -= tombstoneSize(key);
      this.replaced.push(trace);
    }
    changes += indexed.length;
    stale += this.replaced.length;
    let head: Head = { ...base, rev, id: rev === base.rev ? base.id : id };
    for (const upkeep of this.upkeep) {
      changes -= upkeep.changesRemoved ?? 0;
      stale += (upkeep.staleAdded ?? 0) - (upkeep.staleRemoved ?? 0);
      tombstoneBytes += upkeep.tombstoneBytes ?? 0;
      head = { ...head, ...upkeep.head };
    }
    this.#pages = packChanges(indexed);
    this.#tip = {
      ...head,
      changes: Math.max(0, changes),
      stale: Math.max(0, stale),
      tombstoneBytes: Math.max(0, tombstoneBytes),
      version,
    };
  }

  /** Gives everything to the tables; nothing in here may fail, because half a group must not be written. */
  write(tables: Tables, nowMs: number): void {
    const { tip, base } = this;
    // First, because a commit may write the very key that was swept before it was planned.
    for (const upkeep of this.upkeep) upkeep.write(tables);
    for (const change of this.changes()) if (!change.superseded) writeChange(tables, change);
    for (const { key, bytes } of this.#pages) void tables.changes.put(key, bytes);
    if (tip.rev !== base.rev)
      void tables.commits.put(
        revBytes(tip.rev),
        encodeCommit({ firstRev: base.rev + 1, madeMs: nowMs, id: tip.id }),
      );
    void tables.meta.put(HEAD_KEY, encodeHead(tip), tip.version);
  }
}

export function tombstoneSize(key: string): number {
  return TOMBSTONE_OVERHEAD_BYTES + key.length;
}

function writeChange(tables: Tables, change: Change): void {
  const { key, trace, set } = change;
  if (set === undefined) {
    void tables.values.remove(key);
    writeTombstone(tables, change);
  } else {
    void tables.values.put(key, set.envelope);
    const { expiresAt } = set.head;
    if (expiresAt !== undefined)
      void tables.expiries.put(expiryBytes(expiresAt, change), Buffer.from(key));
  }
  if (trace === undefined) return;
  if (trace.expiresAt !== undefined)
    void tables.expiries.remove(expiryBytes(trace.expiresAt, trace));
  if (!trace.deleted) return;
  void tables.tombstones.remove(placeBytes(trace));
  if (set !== undefined) void tables.deleted.remove(key);
}

/** Remembers a delete. */
export function writeTombstone(
  tables: Tables,
  change: IndexPlace & { readonly key: string },
): void {
  const place = placeBytes(change);
  void tables.deleted.put(change.key, place);
  void tables.tombstones.put(place, Buffer.from(change.key));
}

/** Writes whose values are the store's own: those of the envelopes, else copies. */
export function ownWrites(
  writes: readonly Write<Uint8Array>[],
  changes: readonly Change[] = [],
): Write<Uint8Array>[] {
  const values = new Map<Write<Uint8Array>, Uint8Array>();
  for (const { set } of changes) if (set !== undefined) values.set(set.write, valueIn(set));
  return writes.map((write) =>
    write.type === 'set' ? { ...write, value: values.get(write) ?? write.value.slice() } : write,
  );
}

/** The value within an envelope. */
export function valueIn({ envelope, write }: PlannedValue): Uint8Array {
  return envelope.subarray(envelope.length - write.value.length);
}
