import type { Env } from '../store/env.ts';
import type { StrataError } from '../store/errors.ts';
import type { Position } from '../store/primitives.ts';
import type { Attempt } from './incoming-writes.ts';
import { KeptResults, type Written } from './kept-results.ts';
import type { SourceSide } from './sides.ts';
import { type RecordLimits, WriterRecords } from './writer-records.ts';
import type { WireWrite } from './writes.ts';

/** Where the writes of subscribers go. */
export interface WriteTarget {
  /** Whether a write may be asked for again, and where the history stands that tells. */
  terms(head: Position): {
    readonly keepsResults: boolean;
    readonly resultsAt: Position | undefined;
  };
  apply(writes: readonly WireWrite[], attempt: Attempt | undefined): Promise<Written>;
  /** Refuses writes unless they were applied before. */
  refuse(
    writes: readonly WireWrite[],
    attempt: Attempt | undefined,
    error: StrataError,
  ): Promise<Written>;
}

/**
 * Writes go to the published store. Where it commits batches whole and on conditions, each is
 * applied once, however often it is asked for; elsewhere nobody may ask again.
 */
export function storeTarget(
  side: SourceSide,
  env: Env,
  limits: RecordLimits,
  failed: (error: unknown) => void,
): WriteTarget {
  const { atomic, conditional } = side.entries.capabilities;
  const keepsResults = atomic === 'batch' && conditional === 'all';
  const results = new KeptResults(side, new WriterRecords(side, env, limits, failed));
  return {
    terms: (head) => ({ keepsResults, resultsAt: keepsResults ? head : undefined }),
    apply: async (writes, attempt) => {
      if (keepsResults && attempt !== undefined) return results.apply(attempt, writes);
      const { rev = 0, results: outcomes } = await side.batch(writes);
      return { rev, outcomes };
    },
    refuse: async (writes, attempt, error) => {
      if (keepsResults && attempt !== undefined) return results.refuse(attempt, writes, error);
      throw error;
    },
  };
}
