import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import type { Durability } from '../../store/capabilities.ts';
import type { Meta, Origin } from '../../store/entry.ts';
import type { StrataError, StrataErrorCode } from '../../store/errors.ts';

/** A write as a journal keeps it: checked, its condition already decided. */
export type JournalWrite<V> = JournalSet<V> | JournalDelete;

/** What sets and deletes have in common. */
interface JournalStamp {
  readonly key: string;
  /** Given by who writes; no other write ever has it. */
  readonly version: string;
  /** In ms since 1970. */
  readonly modifiedAt: number;
  /** Version of the back's entry that the write was decided on; empty: there was none; absent: not known. */
  readonly base?: string;
  /** The back holds it already, and counts: it is told, and never to be written there. */
  readonly adopted?: true;
}

export interface JournalSet<V> extends JournalStamp {
  readonly type: 'set';
  readonly value: V;
  readonly expiresAt?: number;
  readonly immutable?: true;
  readonly meta?: Meta;
  readonly origin?: Origin;
}

export interface JournalDelete extends JournalStamp {
  readonly type: 'delete';
}

/** One commit as a journal keeps it. */
export interface JournalRecord<V> {
  /** Grows from record to record; there may be gaps. Within one epoch never used for anything else. */
  readonly seq: number;
  /** Names the commit in cursors; no other commit ever has it. */
  readonly id: string;
  /** That of the journal when the record was written: `seq` is to be compared within one epoch only. */
  readonly epoch: string;
  readonly writes: readonly JournalWrite<V>[];
  /** What it takes in the store; by estimate where the store holds values as they are. */
  readonly bytes: number;
}

/** A write that was refused for good. */
export interface DeadLetter<V> {
  /** Names the letter in `forgetDeadLetters`: the same write has the same. */
  readonly id: string;
  readonly write: JournalWrite<V>;
  readonly cause: { readonly code: StrataErrorCode; readonly message: string };
  /** When it was buried, in ms since 1970. */
  readonly at: number;
}

/**
 * Keeps commits in their order until they are dropped, so that what was acknowledged outlives the
 * process. It belongs to one owner at a time.
 *
 * - One `open` comes first; `storeId`, `epoch`, `lastSeq` and `lastId` are known afterwards. Until
 *   then everything else fails with `unavailable`.
 * - When another process has taken the journal over, nothing more can be written by this one, not
 *   even by a commit already sent. It is told once (`onLost`), and every later call fails with
 *   `conflict`; where the store fails for good, with its code.
 * - `append`, `drop`, `bury` and `forgetDeadLetters` settle when their outcome is sure, and do not
 *   wait for the end of the call to do so: when the store leaves the outcome open, the journal finds
 *   out, for as long as that takes. So bound the wait of callers elsewhere. Until it has found out,
 *   other writes wait, and the blocking ones fail with `unavailable`. They fail with
 *   `unknown-outcome` only when the journal is lost or closed before it could find out; the next who
 *   opens the journal then sees which it was. Any other error means: nothing of it was applied.
 */
export interface Journal<V> {
  /** What an appended record survives. */
  readonly durability: Durability;
  /** Names the journal; kept with it. */
  readonly storeId: string;
  /** Random; renewed by `open` when records may have been lost since: the store was rewound, or one is damaged. */
  readonly epoch: string;
  /** Of the newest record ever appended, dropped ones included, also across restarts; 0 and empty where there is none. */
  readonly lastSeq: number;
  readonly lastId: string;
  /** How many dead letters are kept. */
  readonly deadLetterCount: number;
  /** The synchronous half; present where the store has one. */
  readonly blocking?: BlockingJournal<V>;
  /**
   * Takes ownership, and gives the records that were acknowledged and not dropped, in order; one that
   * was neither acknowledged nor refused may be among them. After a crash of the last owner it waits
   * until that has been silent for `leaseMs`, as long as the call lasts. A try that failed may be
   * repeated.
   * Errors: `conflict`, naming the owner, while another holds the journal; `invalid-argument` where
   * the records were written with another codec.
   */
  open(call: Call): Promise<readonly JournalRecord<V>[]>;
  /**
   * Keeps commits, one record each, all of them or none, and removes the records `drop` with them:
   * records that are needed no longer, whatever becomes of these commits.
   * Appends may overlap; their records are in the order of the calls. `seq`s of failed appends are
   * left out.
   * Errors: `invalid-argument` for a value that cannot be kept, before anything is written.
   */
  append(
    commits: readonly (readonly JournalWrite<V>[])[],
    drop: readonly number[],
    call: Call,
  ): Awaitable<readonly JournalRecord<V>[]>;
  /** Removes records. Unknown numbers are passed over. */
  drop(seqs: readonly number[], call: Call): Awaitable<void>;
  /** Puts a write among the dead letters; the same write twice is there once. Its record is untouched. */
  bury(write: JournalWrite<V>, cause: StrataError, call: Call): Awaitable<void>;
  /** Every dead letter, oldest first. */
  deadLetters(call: Call): Promise<readonly DeadLetter<V>[]>;
  /** Removes dead letters by their ids. */
  forgetDeadLetters(ids: readonly string[], call: Call): Promise<void>;
  /** Waits for what is under way and gives ownership up; the records stay. Never fails. */
  close(): Promise<void>;
}

/**
 * The synchronous half of a journal. It cannot wait until an outcome is sure: what fails with
 * `unknown-outcome` is taken back as soon as that can be done, and other writes wait for that.
 * `operation` names the public call in errors.
 */
export interface BlockingJournal<V> {
  append(
    commits: readonly (readonly JournalWrite<V>[])[],
    drop: readonly number[],
    operation: string,
  ): readonly JournalRecord<V>[];
  drop(seqs: readonly number[], operation: string): void;
}
