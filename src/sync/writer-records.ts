import { Call } from '../store/call.ts';
import type { Entry } from '../store/entry.ts';
import type { Env } from '../store/env.ts';
import { failure, isStrataError, type StrataError, type StrataErrorCode } from '../store/errors.ts';
import { prefixBounds } from '../store/keys.ts';
import type { SetWrite, Write } from '../store/primitives.ts';
import type { Attempt } from './incoming-writes.ts';
import type { SourceSide } from './sides.ts';

const RECORDS = '\u0000sync-writes/';
/** How far records were given up. */
const FLOOR_KEY = '\u0000sync-writes';

/** The last write of a writer, as it is kept. */
export interface KeptWrite {
  readonly sequence: number;
  /** For each write of the batch '1' where its key existed, else '0'; absent where nobody has asked. */
  readonly existed?: string;
  /** It was not applied, and never will be. */
  readonly failed?: { readonly code: StrataErrorCode; readonly key: string };
}

/** The same, with what the store says of it. */
export interface WriterRecord extends KeptWrite {
  readonly version: string;
  /** The commit of the write. */
  readonly rev: number;
  readonly modifiedAt: number;
}

/** No record newer than that with the revision `rev` was given up. */
interface Floor {
  readonly rev: number;
  readonly version: string | undefined;
}

export interface RecordLimits {
  /** Records are given up after so long without a write; at least `YOUNG_MS`. */
  readonly keepResultsMs: number;
  /** About so many are kept at most. */
  readonly writers: number;
}

/** A commit on its way ends within this, whatever the store does: until then a record must stay. */
export const YOUNG_MS = 600_000;
/** Of the time that records are kept: how often is looked for old ones. */
const SWEEPS = 8;
const SWEEP_KEYS = 256;

/**
 * The records of all writers of one store, in the store, under reserved keys. Those given up leave
 * the newest revision among them, in the same commit: a writer whose history begins after that can
 * still be told for sure that a write of its has left no record.
 */
export class WriterRecords {
  readonly #side: SourceSide;
  readonly #env: Env;
  readonly #limits: RecordLimits;
  readonly #failed: (error: unknown) => void;
  /** Records at the end of the last sweep, and made here since. */
  #count = 0;
  #added = 0;
  #sweptMs: number = Number.NEGATIVE_INFINITY;
  #sweep: Promise<void> | undefined;

  constructor(side: SourceSide, env: Env, limits: RecordLimits, failed: (error: unknown) => void) {
    this.#side = side;
    this.#env = env;
    this.#limits = limits;
    this.#failed = failed;
  }

  async read(writer: string): Promise<WriterRecord | undefined> {
    const entry = await this.#readOne(RECORDS + writer);
    return entry && this.#parse(entry);
  }

  /** The write that moves a record, only over the one known. */
  move(writer: string, kept: KeptWrite, over: WriterRecord | undefined): SetWrite<unknown> {
    return {
      type: 'set',
      key: RECORDS + writer,
      value: this.#side.holdText(JSON.stringify(kept)),
      if: over === undefined ? 'absent' : { version: over.version },
    };
  }

  /** There is one more. */
  added(): void {
    this.#added++;
  }

  /**
   * Lets a writer in that has no record. Errors: `unknown-outcome` for a write that was asked for
   * before and may have had one; `overloaded` when there are too many writers.
   */
  async admit({ again, since }: Attempt): Promise<void> {
    if (again) {
      const { head } = await this.#state();
      // A history that was rewound may have kept the write and lost the record, as a copy of the data does.
      if (since === undefined || since.epoch !== head.epoch) throw forgotten();
      if ((await this.#floor()).rev > since.rev) throw forgotten();
    }
    await this.#keepBounds();
  }

  async #keepBounds(): Promise<void> {
    const { keepResultsMs, writers } = this.#limits;
    const isFull = (): boolean => this.#count + this.#added >= writers;
    const nowMs = this.#env.monotonicMs();
    const isDue = nowMs - this.#sweptMs >= keepResultsMs / SWEEPS;
    if (isDue || isFull() || this.#added > writers / SWEEPS) {
      this.#sweep ??= this.#runSweep().finally(() => {
        this.#sweep = undefined;
      });
      if (isFull()) await this.#sweep;
      else this.#sweep.catch(this.#failed);
    }
    if (isFull())
      throw failure('overloaded', 'write', `there are more than ${writers} writers just now`);
  }

  async #runSweep(): Promise<void> {
    this.#sweptMs = this.#env.monotonicMs();
    const seen = this.#added;
    const call = Call.background(this.#env, 'publish');
    const range = { ...prefixBounds(RECORDS), reverse: false, limit: Number.POSITIVE_INFINITY };
    const { keepResultsMs, writers } = this.#limits;
    const nowMs = this.#env.now();
    const old: Entry<unknown>[] = [];
    const mature: Entry<unknown>[] = [];
    let count = 0;
    for await (const page of this.#side.entries.scan(range, call)) {
      count += page.length;
      for (const entry of page) {
        const ageMs = nowMs - entry.modifiedAt;
        if (ageMs >= keepResultsMs) old.push(entry);
        else if (ageMs >= YOUNG_MS) mature.push(entry);
      }
    }
    const spare = count - old.length - Math.floor(writers * (1 - 1 / SWEEPS));
    if (count - old.length >= writers && spare > 0) {
      mature.sort((a, b) => (a.rev ?? 0) - (b.rev ?? 0));
      old.push(...mature.slice(0, spare));
    }
    for (let start = 0; start < old.length; start += SWEEP_KEYS)
      count -= await this.#giveUp(old.slice(start, start + SWEEP_KEYS));
    this.#count = count;
    // Those that came meanwhile may be counted twice, until the next sweep.
    this.#added -= seen;
  }

  /** Gives up records, and notes how far; fewer when some have been moved meanwhile. */
  async #giveUp(doomed: readonly Entry<unknown>[]): Promise<number> {
    let left = doomed;
    for (let tries = 0; left.length > 0 && tries < SWEEP_KEYS; tries++) {
      const floor = await this.#floor();
      const rev = left.reduce((max, entry) => Math.max(max, entry.rev ?? 0), floor.rev);
      const note: Write<unknown> = {
        type: 'set',
        key: FLOOR_KEY,
        value: this.#side.holdText(JSON.stringify({ rev })),
        if: floor.version === undefined ? 'absent' : { version: floor.version },
      };
      const deletes = left.map(
        ({ key, version }): Write<unknown> => ({ type: 'delete', key, if: { version } }),
      );
      const call = new Call(this.#env, 'publish');
      try {
        const done = this.#side.entries.commit([note, ...deletes], call);
        if (done instanceof Promise) await call.guard(done);
        return left.length;
      } catch (error) {
        if (!isStrataError(error, 'conflict')) throw error;
        left = left.filter(({ key }) => key !== error.key);
      }
    }
    return 0;
  }

  async #floor(): Promise<Floor> {
    const entry = await this.#readOne(FLOOR_KEY);
    if (entry === undefined) return { rev: 0, version: undefined };
    const { rev } = this.#json(entry) as { rev?: unknown };
    if (typeof rev !== 'number') throw damaged(entry.key);
    return { rev, version: entry.version };
  }

  async #readOne(key: string): Promise<Entry<unknown> | undefined> {
    const { entries } = this.#side;
    const call = new Call(this.#env, 'publish', undefined, undefined, entries.timeoutMs);
    return call.chain(entries.readOne(key, call), (entry) => entry);
  }

  async #state(): Promise<{ readonly head: { readonly epoch: string } }> {
    const call = new Call(this.#env, 'publish');
    const state = this.#side.feed.state(call);
    return state instanceof Promise ? call.guard(state) : state;
  }

  #parse(entry: Entry<unknown>): WriterRecord {
    const kept = this.#json(entry) as Partial<KeptWrite>;
    const { sequence, existed, failed } = kept;
    if (typeof sequence !== 'number') throw damaged(entry.key);
    const { version, rev = 0, modifiedAt } = entry;
    return {
      sequence,
      ...(existed !== undefined && { existed }),
      ...(failed !== undefined && { failed }),
      version,
      rev,
      modifiedAt,
    };
  }

  #json({ key, value }: Entry<unknown>): object {
    try {
      return JSON.parse(this.#side.readText(value) ?? '') as object;
    } catch {
      throw damaged(key);
    }
  }
}

function forgotten(): StrataError {
  const what = 'it was asked for before, and the source no longer knows what became of it';
  return failure('unknown-outcome', 'write', what, { retryable: false });
}

function damaged(key: string): StrataError {
  return failure('corrupt', 'write', 'the record of a writer is damaged', { key });
}
