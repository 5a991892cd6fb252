import type { Call } from '../../store/call.ts';
import type { EntryHead } from '../../store/entry.ts';
import type { StrataError } from '../../store/errors.ts';
import type { Planned } from '../../store/feed/plan.ts';

/** What a stored item says of its entry. */
export interface ItemHead {
  readonly version: string;
  readonly immutable: boolean;
  /** The versions that stood in its place before it, the latest first. */
  readonly replaced: readonly string[];
  /** Whether it stands for an entry at this time. */
  isLive(nowMs: number): boolean;
  entryHead(): EntryHead;
}

/** What stands in a key's place: an entry, an expired one, what is left of a deleted one, or damage. */
export interface FoundItem<Head extends ItemHead = ItemHead> {
  /** Names this state of the item, and never another. */
  readonly tag: string;
  readonly head?: Head;
  /** Why there is no head. */
  readonly damage?: StrataError;
  /** Where it was asked for. */
  readonly value?: Uint8Array;
}

/** What one write is to bring about. */
export interface Replacement<Found> {
  readonly change: Planned<Uint8Array>;
  /** What it takes the place of. */
  readonly found: Found | undefined;
  /** Whether the caller put a condition on it. */
  readonly isConditional: boolean;
  /** Fills in the id of this write. */
  writeId(into: Uint8Array, offset: number): void;
}

/**
 * What a failed attempt means: `lost`: another state stood there; `doubt`: it may have been carried
 * out; `busy`: it was not, and may be later; `refused`: it was not, and will not be.
 */
export type Verdict = 'lost' | 'doubt' | 'busy' | 'refused';

/** A write that is ready to be sent, any number of times. */
export interface Attempt {
  /** Whether what stands afterwards tells if it was carried out. */
  readonly tells: boolean;
  /** Sends it once. Rejects with what the client says. */
  send(call: Call): Promise<void>;
  judge(error: unknown): Verdict;
  /** Leaves nothing behind of what was sent, when it is not to be sent again and is not done. Does not fail. */
  abandon?(call: Call): Promise<void>;
}

/** An engine that holds one item a key, and replaces it on a condition. */
export interface ItemPort<Found extends FoundItem> {
  /** Whether the engine heeds conditions. */
  readonly conditional: boolean;
  /** Makes ready for writing values of so many bytes together. */
  begin(bytes: number): Promise<void>;
  /** What stands in the places of keys, without the values. Failures are `StrataError`s. */
  find(keys: readonly string[], call: Call): Promise<readonly (Found | undefined)[]>;
  /** As `find`, with the value. */
  findWhole(key: string, call: Call): Promise<Found | undefined>;
  /** Refuses with `invalid-argument` what the engine cannot hold. */
  check?(change: Planned<Uint8Array>, operation: string): void;
  attempt(replacement: Replacement<Found>): Attempt;
  /** Any failure of a request as a `StrataError`. */
  failure(error: unknown, operation: string, key: string): StrataError;
}
