/** What is known of one key. */
export interface Known {
  /** The newest revision that anybody was told of. */
  rev: number;
  /** Revision of each delete that was acknowledged. */
  deleted: number;
  /** Writes of which nobody knows whether they were applied, those under way included. */
  readonly unsureDeletes: Set<number>;
  /** Whether anything was ever acknowledged or seen. */
  seen: boolean;
  /** The newest write that was acknowledged: a value, or nothing for a delete. */
  last: { readonly rev: number; readonly value: string | undefined } | undefined;
  /** Writes under way. */
  writing: number;
  /** When a write last ended without anybody knowing how. */
  unsureAt: number;
  /** When the newest acknowledged write began. */
  sureFrom: number;
}

export interface Before {
  readonly rev: number;
  readonly seen: boolean;
  readonly generation: number;
  readonly deaths: number;
}

export function nothingKnown(): Known {
  return {
    rev: 0,
    deleted: 0,
    unsureDeletes: new Set(),
    seen: false,
    last: undefined,
    writing: 0,
    unsureAt: 0,
    sureFrom: 0,
  };
}
