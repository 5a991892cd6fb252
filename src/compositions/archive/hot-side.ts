import type { Env } from '../../store/env.ts';
import type { ColdObject } from './cold-objects.ts';
import type { HotAudit } from './hot-audit.ts';
import type { KeyBounds, Named } from './hot-key.ts';
import type { RedisTransaction } from './redis-transaction.ts';

/** A mark, as it was when somebody took or made it: its generation tells it from every later one. */
export interface Mark {
  readonly key: Named;
  readonly generation: number;
}

/** A mark that was taken, with what the hot side had of the key in that moment. */
export interface Taken extends Mark {
  /** Times that freezing failed since the mark was made. */
  readonly tries: number;
  /** `evicted`: not there, and its record says where it is. `error`: there, and cannot be read. */
  readonly state: 'value' | 'absent' | 'evicted' | 'error';
  /** A tombstone unless there is a value. */
  readonly object: ColdObject;
}

/** Which marks are taken. */
export interface TakeOptions {
  /** Time until another worker may take the same marks. */
  readonly leaseMs: number;
  readonly mostKeys: number;
  /** Payloads that are read, about. */
  readonly mostBytes: number;
  /** Takes the marks of these keys, due or not; default what is due, oldest first. */
  readonly only?: readonly Named[];
}

/** Where a key is: a number is the generation under which it was recorded as evicted. */
export type Presence = 'hot' | 'absent' | number;

/** Why a key was not evicted: it is not frozen as it is (and is by the next `drain`), was used, or is not there. */
export type KeptReason = 'dirty' | 'in-use' | 'absent';

/** What became of a key that was to be restored; `moved`: it is recorded under another generation. */
export type Restored = 'restored' | 'present' | 'deleted' | 'moved';

/** Why a key was not frozen. */
export interface FailCause {
  readonly code: string;
  readonly message: string;
}

/** A key that could not be frozen. */
export interface FailedKey {
  readonly key: string;
  readonly cause: FailCause;
  /** Times that it failed since it was frozen last. */
  readonly tries: number;
  /** When it was marked, in ms since 1970 by the clock of the hot side. */
  readonly markedAt: number;
  /** When a worker may try again, by the same clock; while one does, when its lease ends. */
  readonly nextTryAt: number;
}

/** What the hot side tells of itself. */
export interface HotStats {
  /** Keys that are marked and not frozen since. */
  readonly dirty: number;
  /** Those among them whose last try failed. */
  readonly failing: number;
  /** Age of the oldest mark among those that are due first, in ms; 0 without marks. */
  readonly oldestMarkMs: number;
  /** Keys that are in the cold store only. */
  readonly evicted: number;
}

/**
 * The hot side of an archive: where keys are used, marked, and evicted from. Each step is atomic for
 * each of its keys, and decides by the state it finds, so that any number of processes take steps at
 * once, and may end between any two. Generations grow with every mark, and tell what was read later.
 *
 * Errors of all: `unavailable` and `timeout` where the step was not taken, `unknown-outcome` where
 * it may have been, and what the hot side refused (`no-space`, `denied`).
 */
export interface HotSide extends KeyBounds {
  readonly env: Env;
  /** For messages: `Redis`, `the hot store`. */
  readonly title: string;
  /** A random name that the hot side has for as long as it keeps its keys; given now, where it has none and `names` says so. */
  identity(operation: string, names: boolean): Promise<string | undefined>;
  /** Marks what exists, and gives the keys that do not. A mark that stands keeps its time. */
  mark(operation: string, keys: readonly Named[]): Promise<readonly Named[]>;
  /**
   * Adds the marking of keys to a transaction that the caller has begun on the hot side, whether they
   * exist or not. Absent where there are no such transactions.
   */
  markWithin?(transaction: RedisTransaction, keys: readonly Named[]): void;
  /** Takes marks under a lease: each gets a new generation, and the key is read in the same step. */
  take(operation: string, options: TakeOptions): Promise<readonly Taken[]>;
  /**
   * Removes a mark, if it is still this one: then true. Else it is due again after the delay, and
   * stands for what was changed since it was taken, `sinceMs` ago.
   */
  settle(operation: string, mark: Mark, delayMs: number, sinceMs: number): Promise<boolean>;
  /** Makes a mark due after the delay, and counts the try. One that changed is due after it at the latest. */
  fail(operation: string, mark: Mark, delayMs: number, cause: FailCause): Promise<void>;
  /** So many of the keys whose last try failed, next tries first. */
  failed(operation: string, most: number): Promise<readonly FailedKey[]>;
  /** Whether nobody took the turn of that name within so many ms; then the caller has it. */
  turn(operation: string, name: string, ms: number): Promise<boolean>;
  /**
   * The cold store has a generation above the mark's: raises the clock to it, where that went back,
   * and makes the mark due at once, unless another has taken it.
   */
  raise(operation: string, mark: Mark, generation: number): Promise<void>;
  /** Marks and deletes keys, with their records; gives how many there were. */
  forget(operation: string, keys: readonly Named[]): Promise<number>;
  /** Marks, under a lease, a key that is to be evicted; gives the mark, or why it is not. */
  beginEvict(
    operation: string,
    key: Named,
    idleMs: number,
    leaseMs: number,
  ): Promise<Mark | KeptReason | 'evicted'>;
  /** Evicts, while that mark is current, a key that is as the cold object says; else it stays marked. */
  evict(
    operation: string,
    mark: Mark,
    idleMs: number,
    object: Pick<ColdObject, 'generation' | 'digest' | 'expiresAt'>,
  ): Promise<'evicted' | KeptReason>;
  /** How many restores it takes at once, where it takes them together; else as many as are fetched at once. */
  readonly restoresAtOnce?: number;
  /** Restores a key that is absent and recorded under this generation. Errors: `unsupported` for a payload that it cannot read, `corrupt` for one that is not what it gave. */
  restore(
    operation: string,
    key: Named,
    generation: number,
    object: Pick<ColdObject, 'expiresAt' | 'payload' | 'logical' | 'digest'>,
  ): Promise<Restored>;
  /** Where keys are. Restarts the idle time of those that are there; marks what was written over a record. */
  presence(operation: string, keys: readonly Named[]): Promise<readonly Presence[]>;
  /** Keys of the archive that were idle so long and are not marked, in parts: one for each step, which may find none. */
  idleKeys(operation: string, idleMs: number): AsyncIterable<readonly Named[]>;
  stats(operation: string): Promise<HotStats>;
  /** The steps of `rebuildIndex` and `verify`, where the hot side has them. */
  readonly audit?: HotAudit;
  /** Ends what the hot side opened itself. */
  close(): Promise<void>;
}
