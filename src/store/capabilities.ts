/** What an acknowledged write survives: the end of the call only, the process, power loss, the loss of a machine. */
export type Durability = 'memory' | 'os' | 'disk' | 'quorum';

/**
 * What a store can do, as frozen data. Callers may rely on it; `defineStore` rejects with
 * `unsupported` what a store does not offer.
 */
export interface Capabilities {
  /** `memory`: nothing outlives the engine's process; `os`: survives a crash of the process; `disk`: survives power loss; `quorum`: survives the loss of a machine. */
  readonly durability: Durability;
  /** `batch`: a batch is applied whole or not at all; `key`: each write stands alone. */
  readonly atomic: 'key' | 'batch';
  /** Which conditional writes are honoured: none, set-if-absent, conditional sets, or sets and deletes. */
  readonly conditional: 'none' | 'absent' | 'set' | 'all';
  /** Whether `watch` and `cursor` work. */
  readonly feed: boolean;
  /** Whether entries may carry an expiry. */
  readonly ttl: boolean;
  /** Whether `store.blocking` exists. */
  readonly blocking: boolean;
  /** Set where the store gives up entries of its own accord, as a cache does: a key that was written may be absent later. */
  readonly evicts?: true;
  /**
   * Set where an entry is its value and expiry and nothing else, as other programs may write it too.
   * Metadata, immutability and origins are refused with `unsupported`; a version is made of value
   * and expiry, so that it comes again with them; `modifiedAt` is 0, which is: not known.
   */
  readonly bare?: true;
  /** Longest key accepted, in bytes of UTF-8; at least 512. */
  readonly maxKeyBytes: number;
  /** Largest value accepted, in bytes, where there is a limit. */
  readonly maxValueBytes?: number;
}

/** The key length that every store accepts, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 512;
