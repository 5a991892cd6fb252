import type { EntryHead } from '../../store/entry.ts';
import type { IndexPlace } from '../../store/feed/plan.ts';
import type { CommitOutcome } from '../../store/primitives.ts';
import { packChanges } from './change-page.ts';
import { encodeCommit } from './commit-ids.ts';
import { encodeHead, type Head, type Tip } from './head.ts';
import type { PendingCommit } from './pending.ts';
import { expiryBytes, placeBytes, revBytes } from './places.ts';
import { HEAD_KEY, type Tables } from './tables.ts';

/** Counted for each remembered delete beside its key. */
const TOMBSTONE_OVERHEAD_BYTES = 96;

/** What a change made of a key. */
export interface KeyState extends IndexPlace {
  readonly key: string;
  readonly deleted: boolean;
  /** Set where the delete is remembered no longer. */
  readonly forgotten?: true;
  readonly expiresAt: number | undefined;
  readonly immutable: boolean;
  /** The change is in the tables for certain, and what follows is to be read there. */
  landed: boolean;
  head: EntryHead | undefined;
  /** Of an immutable entry. */
  value: Uint8Array | undefined;
}

/** What tells a group from all others. */
export interface GroupStamp {
  /** Of its commits, which share it: they stand or fall together. */
  readonly id: string;
  /** Of the head after it. */
  readonly version: number;
  readonly madeMs: number;
}

/** Records of a key's former change, which the one that replaces it clears away. */
export interface Trace extends IndexPlace {
  /** It was a delete. */
  readonly deleted: boolean;
  readonly expiresAt: number | undefined;
}

/** A commit and what was planned for it; without changes where it fails or changes nothing. */
export interface Member {
  readonly pending: PendingCommit;
  readonly outcome: CommitOutcome | { readonly error: unknown };
  readonly states: readonly KeyState[];
  /** The envelope of each; absent for a delete. */
  readonly entries: readonly (Uint8Array | undefined)[];
}

/** A transaction in the making: commits, their part of the change index, their id, and the new head. */
export class Group {
  readonly base: Tip;
  readonly tables: Tables;
  readonly members: Member[] = [];
  /** Deletes that the sweep makes of expired entries, at the entries' own places, and those it forgets. */
  readonly swept: KeyState[] = [];
  /** Places in the index that this group makes stale. */
  readonly replaced: IndexPlace[] = [];
  /** The last revision given in it. */
  rev: number;
  writes = 0;
  bytes = 0;
  readonly #stamp: GroupStamp;
  readonly #indexed: KeyState[] = [];
  #head: Head;
  #kept = false;
  #tip: Tip | undefined;

  constructor(tables: Tables, base: Tip, stamp: GroupStamp) {
    this.tables = tables;
    this.base = base;
    this.#stamp = stamp;
    this.rev = base.rev;
    this.#head = base;
  }

  get changesAnything(): boolean {
    return this.rev !== this.base.rev || this.#kept;
  }

  /** The head after it, once it is finished. */
  get tip(): Tip {
    if (this.#tip === undefined) throw new Error('the group is not finished');
    return this.#tip;
  }

  /** Gives a change to the tables. Nothing in here may fail: half a group must not be written. */
  write(state: KeyState, entry: Uint8Array | undefined, trace: Trace | undefined): void {
    const { tables } = this;
    const { key, expiresAt } = state;
    this.#indexed.push(state);
    if (entry === undefined) {
      void tables.values.remove(key);
      this.bury(state);
    } else {
      void tables.values.put(key, entry as Buffer);
      if (expiresAt !== undefined)
        void tables.expiries.put(expiryBytes(expiresAt, state), Buffer.from(key));
    }
    if (trace !== undefined) this.#clear(key, trace, entry !== undefined);
  }

  #clear(key: string, trace: Trace, isSet: boolean): void {
    const { tables } = this;
    this.replaced.push(trace);
    if (trace.expiresAt !== undefined)
      void tables.expiries.remove(expiryBytes(trace.expiresAt, trace));
    if (!trace.deleted) return;
    void tables.tombstones.remove(placeBytes(trace));
    if (isSet) void tables.deleted.remove(key);
    this.adjust({ tombstoneBytes: -tombstoneSize(key) });
  }

  /** Remembers a delete. */
  bury({ key, rev, pos }: KeyState): void {
    const place = placeBytes({ rev, pos });
    void this.tables.deleted.put(key, place);
    void this.tables.tombstones.put(place, Buffer.from(key));
    this.adjust({ tombstoneBytes: tombstoneSize(key) });
  }

  /** Changes the counts of the head. */
  adjust(by: Partial<Pick<Head, 'changes' | 'stale' | 'tombstoneBytes'>>): void {
    const head = this.#head;
    this.#head = {
      ...head,
      changes: Math.max(0, head.changes + (by.changes ?? 0)),
      stale: Math.max(0, head.stale + (by.stale ?? 0)),
      tombstoneBytes: Math.max(0, head.tombstoneBytes + (by.tombstoneBytes ?? 0)),
    };
  }

  /** Has something to write beside commits, and changes the head. */
  keep(head: Partial<Pick<Head, 'floor' | 'oldestCommit'>>): void {
    this.#kept = true;
    this.#head = { ...this.#head, ...head };
  }

  /** Writes what belongs to the group as a whole. */
  finish(): void {
    const { tables, base, rev } = this;
    const { id, version, madeMs } = this.#stamp;
    this.adjust({ changes: this.#indexed.length, stale: this.replaced.length });
    const tip = { ...this.#head, rev, id: rev === base.rev ? base.id : id, version };
    for (const { key, bytes } of packChanges(this.#indexed)) void tables.changes.put(key, bytes);
    if (rev !== base.rev)
      void tables.commits.put(revBytes(rev), encodeCommit({ firstRev: base.rev + 1, madeMs, id }));
    void tables.meta.put(HEAD_KEY, encodeHead(tip), version);
    this.#tip = tip;
  }
}

export function tombstoneSize(key: string): number {
  return TOMBSTONE_OVERHEAD_BYTES + key.length;
}
