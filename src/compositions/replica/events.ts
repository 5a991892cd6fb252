import type { StrataError } from '../../store/errors.ts';

/** How a member stands. */
export type MemberState =
  /** It has everything that was acknowledged. */
  | 'live'
  /** It is being brought up to date. */
  | 'catching-up'
  /** Its last call failed; it is tried again after a pause. */
  | 'away';

/** One member of a replica, now. */
export interface MemberStatus {
  /** `sync[0]`, `sync[1]`, `async[0]` … as in the options. */
  readonly name: string;
  readonly state: MemberState;
  /** Changes that wait for it in its queue; while it is not live they are counted by the first store. */
  readonly queued: number;
  /** About how many bytes those have. */
  readonly queuedBytes: number;
  /** Keys for which it is not asked, because it may be behind; `undefined`: it is asked for none. */
  readonly fenced: number | undefined;
  /** The revision of the first store up to which it is known to have everything. */
  readonly rev: number;
  /** Writes that it refuses for good: asynchronous members only. */
  readonly refused: readonly RefusedWrite[];
  readonly lastError?: StrataError;
}

/** A write that an asynchronous member refuses for good. */
export interface RefusedWrite {
  readonly key: string;
  readonly cause: StrataError;
}

/** How a replica stands. */
export interface ReplicaStatus {
  /** `opening` until the first store is known to be sound; `failed` with `asyncFailure: 'fail-store'`, or without its journal. */
  readonly state: 'opening' | 'open' | 'failed' | 'closed';
  readonly members: readonly MemberStatus[];
  /** What the journal keeps because some asynchronous member may lack it: commits, and about how many bytes. */
  readonly journal?: { readonly entries: number; readonly bytes: number };
  readonly lastError?: StrataError;
}

/** What a replica tells about itself through `onEvent`. */
export type ReplicaEvent =
  /** A member failed: it is left alone for a pause. */
  | { readonly type: 'member-away'; readonly member: string; readonly cause: StrataError }
  /** A member has everything again. */
  | { readonly type: 'member-live'; readonly member: string }
  /** A member was compared with the first store from end to end. */
  | { readonly type: 'compared'; readonly member: string; readonly counts: RepairCounts }
  /** An asynchronous member refuses a write for good; the others have it. */
  | {
      readonly type: 'write-refused';
      readonly member: string;
      readonly key: string;
      readonly cause: StrataError;
    }
  /** The first store has lost data, or is new: what the others have is brought into it. */
  | { readonly type: 'first-rebuilt'; readonly adopted: number }
  /** A record of the journal is damaged: it is set aside. */
  | { readonly type: 'journal-damaged'; readonly record: string; readonly cause: StrataError }
  /** The members were written without the journal: what it held is older, and was left out. */
  | { readonly type: 'journal-outdated' }
  /** The store has failed for good: `asyncFailure: 'fail-store'`, or a journal that was taken over or fails. */
  | { readonly type: 'failed'; readonly cause: StrataError };

/** What a comparison found and did. */
export interface RepairCounts {
  /** Keys that were looked at, by themselves or in a range whose sum was the same. */
  readonly compared: number;
  /** Of these, keys that were looked at by themselves. */
  readonly joined: number;
  /** Entries that a member lacked, or had in another version. */
  readonly copied: number;
  /** Entries of a member that the first store has deleted. */
  readonly deleted: number;
  /** Entries that only a member had: written past the replica, or lost by the first store. */
  readonly adopted: number;
}

export const NO_COUNTS: RepairCounts = Object.freeze({
  compared: 0,
  joined: 0,
  copied: 0,
  deleted: 0,
  adopted: 0,
});

export function addCounts(a: RepairCounts, b: RepairCounts): RepairCounts {
  return {
    compared: a.compared + b.compared,
    joined: a.joined + b.joined,
    copied: a.copied + b.copied,
    deleted: a.deleted + b.deleted,
    adopted: a.adopted + b.adopted,
  };
}

/** What is written and not yet everywhere. */
export interface ReplicaPending {
  /** Changes that wait in queues, of all members together. */
  readonly entries: number;
  readonly bytes: number;
  /** Members that do not have everything, by name. */
  readonly behind: readonly string[];
}
