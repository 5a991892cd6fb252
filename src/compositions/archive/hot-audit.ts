import type { ColdObject } from './cold-objects.ts';
import type { Named } from './hot-key.ts';

/** What the hot side has of a key, without its value. */
export interface Inspected {
  readonly key: Named;
  /** Whether it is there. */
  readonly isHot: boolean;
  /** Whether a worker has yet to see to it: what the cold store has may be older. */
  readonly isMarked: boolean;
  /** The generation under which it is recorded as evicted. */
  readonly evictedAs?: number;
  /** Whether it is what another archive, or a store, keeps for itself: this one neither freezes nor evicts it by itself. */
  readonly isOthers?: boolean;
  /** As the cold object of this value would have them; only of keys that are there and not marked. */
  readonly digest?: string;
  readonly expiresAt?: number;
}

/** What a key was when it was claimed: only one that is nowhere else is `claimed`. */
export type Claimed = 'hot' | 'marked' | 'evicted' | 'claimed';

/** What became of a claim. */
export type Confirmed = 'recorded' | 'gone' | 'moved';

/** `away`: it is not there, or marked by now. */
export type Compared = 'same' | 'different' | 'away';

/**
 * The steps by which a hot side is compared with the cold store, and by which its records of evicted
 * keys are made anew. Each is atomic for each key, as those of `HotSide` are. Errors are theirs.
 */
export interface HotAudit {
  /** Looks at keys. Changes nothing but the idle time of those that it reads. */
  inspect(operation: string, keys: readonly Named[]): Promise<readonly Inspected[]>;
  /** Compares what is there, if it is and is not marked, with a cold object: by digest, else by what it holds, in whatever order. */
  compare(operation: string, key: Named, object: ColdObject): Promise<Compared>;
  /** Whether an object holds what its digest and its checksums say. */
  isSound(object: ColdObject): Promise<boolean>;
  /** All keys of the archive, in parts; some perhaps twice. */
  keys(operation: string): AsyncIterable<readonly Named[]>;
  /**
   * Records keys as evicted that are neither there nor marked nor recorded: under generation 0,
   * which every object fits, until `confirm`. One that was left so before is claimed again.
   */
  claim(operation: string, keys: readonly Named[]): Promise<readonly Claimed[]>;
  /**
   * The cold object of a key that was claimed has this generation and expiry: raises the clock to
   * the first, and unless somebody saw to the key since (`moved`), records it so, or drops the
   * record where its time is over (`gone`).
   */
  confirm(
    operation: string,
    key: Named,
    object: Pick<ColdObject, 'generation' | 'expiresAt'>,
  ): Promise<Confirmed>;
}
