import { Call } from '../store/call.ts';
import { COPY_RECORDS, copyRecordsRange } from '../store/copy-records.ts';
import type { Env } from '../store/env.ts';
import { failure, isStrataError, type StrataError } from '../store/errors.ts';
import type { Position } from '../store/primitives.ts';
import type { Forwarder } from './forwarding.ts';
import type { Attempt } from './incoming-writes.ts';
import { KeptResults, type Written } from './kept-results.ts';
import type { SourceSide } from './sides.ts';
import { type RecordLimits, WriterRecords } from './writer-records.ts';
import type { WireWrite } from './writes.ts';

/** What a target lets writes do. */
export interface TargetTerms {
  readonly mayWrite: boolean;
  readonly writeBytes: number;
  /** Whether a write may be asked for again, and where the history stands that tells. */
  readonly keepsResults: boolean;
  readonly resultsAt: Position | undefined;
}

/** Where the writes of subscribers go. */
export interface WriteTarget {
  terms(head: Position): TargetTerms;
  apply(writes: readonly WireWrite[], attempt: Attempt | undefined): Promise<Written>;
  /** Refuses writes unless they were applied before. */
  refuse(
    writes: readonly WireWrite[],
    attempt: Attempt | undefined,
    error: StrataError,
  ): Promise<Written>;
}

/** So long it is believed that a store is no copy. */
const LOOK_MS = 1_000;

/**
 * Writes go to the published store. Where it commits batches whole and on conditions, each is
 * applied once, however often it is asked for; elsewhere nobody may ask again. Keys that are copied
 * from elsewhere are refused: there they would be lost.
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
  const copies = new CopiedKeys(side, env);
  const refuse: WriteTarget['refuse'] = async (writes, attempt, error) => {
    if (keepsResults && attempt !== undefined) return results.refuse(attempt, writes, error);
    throw attempt?.again === true ? forgotten() : error;
  };
  return {
    terms: (head) => ({
      mayWrite: true,
      writeBytes: Number.POSITIVE_INFINITY,
      keepsResults,
      resultsAt: keepsResults ? head : undefined,
    }),
    apply: async (writes, attempt) => {
      const copied = await copies.among(writes).catch((error: unknown) => {
        // That says nothing of a write that was asked for before.
        throw keepsResults && attempt?.again === true ? unheard(error) : error;
      });
      if (copied !== undefined) return refuse(writes, attempt, copied);
      if (keepsResults && attempt !== undefined) return results.apply(attempt, writes);
      if (attempt?.again === true) throw forgotten();
      const { rev = 0, results: outcomes } = await side.batch(writes);
      return { rev, outcomes };
    },
    refuse,
  };
}

/** Writes go on to the source of the published copy, under the numbers that they have. */
export function forwardTarget(side: SourceSide, env: Env, forwarder: Forwarder): WriteTarget {
  return {
    terms: () => {
      const terms = forwarder.terms();
      return {
        mayWrite: terms?.mayWrite ?? true,
        writeBytes: terms?.writeBytes ?? Number.POSITIVE_INFINITY,
        keepsResults: terms?.keepsResults ?? false,
        resultsAt: terms?.resultsAt,
      };
    },
    apply: async (writes, attempt) => {
      const { rev, outcomes } = await forwarder.forward(writes, attempt).catch((error: unknown) => {
        if (forwarder.isAnswer(error) || attempt === undefined) throw error;
        // A failure on the way says nothing of what was sent, now or before.
        const wasSent = attempt.again || isStrataError(error, 'unknown-outcome');
        throw wasSent ? unheard(error) : error;
      });
      if (rev === undefined) return { rev: 0, outcomes };
      try {
        // The copy has it: whoever follows the copy waits for where that is now.
        const call = new Call(env, 'batch', undefined, undefined, side.entries.timeoutMs);
        const state = side.feed.state(call);
        const { head } = state instanceof Promise ? await call.guard(state) : state;
        return { rev: head.rev, outcomes };
      } catch (error) {
        throw unheard(error, attempt !== undefined);
      }
    },
    refuse: async (_, attempt, error) => {
      throw attempt?.again === true ? forgotten() : error;
    },
  };
}

/** Knows which keys of a store are copied from elsewhere. */
class CopiedKeys {
  readonly #side: SourceSide;
  readonly #env: Env;
  /** As they were looked up last, or will be: nobody goes by what was there before. */
  #records: Promise<readonly string[]> | undefined;
  #lookedMs: number = Number.NEGATIVE_INFINITY;

  constructor(side: SourceSide, env: Env) {
    this.#side = side;
    this.#env = env;
  }

  /** Why writes cannot be made here, when they cannot. */
  async among(writes: readonly WireWrite[]): Promise<StrataError | undefined> {
    const nowMs = this.#env.monotonicMs();
    if (this.#records === undefined || nowMs - this.#lookedMs >= LOOK_MS) {
      this.#lookedMs = nowMs;
      const looking = this.#look();
      this.#records = looking;
      looking.catch(() => {
        if (this.#records === looking) this.#records = undefined;
      });
    }
    const records = await this.#records;
    if (records.length === 0) return undefined;
    const copied = writes.find(({ key }) => records.some((record) => isUnder(record, key)));
    if (copied === undefined) return undefined;
    const { key } = copied;
    const what = `${JSON.stringify(key)} is copied from another store; write there, or publish this one with the option forward`;
    return failure('unsupported', 'write', what, { key });
  }

  async #look(): Promise<string[]> {
    const { entries } = this.#side;
    const call = new Call(this.#env, 'publish', undefined, undefined, entries.timeoutMs);
    const found: string[] = [];
    for await (const page of entries.scanKeys(copyRecordsRange(), call)) found.push(...page);
    return found;
  }
}

function isUnder(record: string, key: string): boolean {
  return key.startsWith(record.slice(COPY_RECORDS.length));
}

/** With a number it may be asked for again: under that it is applied once. */
function unheard(cause: unknown, retryable = true): StrataError {
  const what = 'the source has not said whether it was applied';
  return failure('unknown-outcome', 'write', what, { retryable, cause });
}

function forgotten(): StrataError {
  const what = 'it was asked for before, and nobody here knows what became of it';
  return failure('unknown-outcome', 'write', what, { retryable: false });
}
