import { Call } from '../store/call.ts';
import type { Entry, EntryHead } from '../store/entry.ts';
import { failure, isStrataError, type StrataError } from '../store/errors.ts';
import type { WriteOutcome } from '../store/primitives.ts';
import { randomId } from '../store/version.ts';
import type { Attempt } from './incoming-writes.ts';
import type { SourceSide } from './sides.ts';
import type { WriterRecord, WriterRecords } from './writer-records.ts';
import type { WireWrite } from './writes.ts';

/** What applied writes came to. */
export interface Written {
  /** 0 when nothing changed. */
  readonly rev: number;
  readonly outcomes: readonly WriteOutcome[];
}

/** What is surely not applied, and why. */
interface Refused {
  readonly refused: StrataError;
}

/** So often a condition may be lost to other writers, before a write goes without saying what existed. */
const MAX_TRIES = 20;
/** Writers whose records are known without a read. */
const MAX_KNOWN = 4_096;

/**
 * Applies each write of a writer once, however often and over however many servers it is asked for.
 * The number of the writer's last write is kept in the store itself, and moved in the write's own
 * commit on condition that nobody else has moved it.
 */
export class KeptResults {
  readonly #side: SourceSide;
  readonly #records: WriterRecords;
  /** Least recently used first. */
  readonly #known: Map<string, WriterRecord> = new Map();

  constructor(side: SourceSide, records: WriterRecords) {
    this.#side = side;
    this.#records = records;
  }

  /**
   * Errors: those of the store, where it is sure that the write was not applied and never will be;
   * `unknown-outcome` that may be tried again; and `unknown-outcome` for good, when nobody can know
   * whether the write was applied before.
   */
  apply(attempt: Attempt, writes: readonly WireWrite[]): Promise<Written> {
    return this.#surely(attempt, () => this.#apply(attempt, writes));
  }

  /** Refuses a write before the store is asked. Errors: as `apply`. */
  async refuse(
    attempt: Attempt,
    writes: readonly WireWrite[],
    error: StrataError,
  ): Promise<Written> {
    if (!attempt.again) throw error;
    return this.#surely(attempt, async () => {
      for (let tries = 1; tries <= MAX_TRIES; tries++) {
        const record = await this.#records.read(attempt.writer);
        if (record !== undefined && record.sequence >= attempt.sequence)
          return this.#recall(record, attempt, writes);
        if (record === undefined) await this.#records.admit(attempt);
        if (await this.#settle(attempt, record, error)) return { refused: error };
      }
      throw contended();
    });
  }

  /** What fails on the way says nothing of a write that was asked for before. */
  async #surely({ again }: Attempt, work: () => Promise<Written | Refused>): Promise<Written> {
    let done: Written | Refused;
    try {
      done = await work();
    } catch (error) {
      const isUnknown = isStrataError(error, 'unknown-outcome');
      throw again && !isUnknown ? unsettled(error) : error;
    }
    if ('refused' in done) throw done.refused;
    return done;
  }

  async #apply(attempt: Attempt, writes: readonly WireWrite[]): Promise<Written | Refused> {
    const { writer } = attempt;
    if (attempt.again) this.#known.delete(writer);
    for (let tries = 1; tries <= 2 * MAX_TRIES; tries++) {
      const record = this.#known.get(writer) ?? (await this.#records.read(writer));
      if (record !== undefined && record.sequence >= attempt.sequence)
        return this.#recall(record, attempt, writes);
      if (record === undefined) await this.#records.admit(attempt);
      const foreseen = await this.#foresee(attempt, writes, tries);
      if (foreseen?.isIdle) return { rev: 0, outcomes: foreseen.outcomes };
      try {
        return await this.#commit(attempt, record, foreseen?.writes ?? writes, foreseen?.existed);
      } catch (error) {
        this.#known.delete(writer);
        const refused = await this.#judge(error, attempt, record, foreseen);
        if (refused !== undefined) return { refused };
      }
    }
    throw contended();
  }

  /** Why a commit is not to be tried again, for sure; `undefined` when it is. */
  async #judge(
    error: unknown,
    attempt: Attempt,
    record: WriterRecord | undefined,
    foreseen: Foreseen | undefined,
  ): Promise<StrataError | undefined> {
    if (!isStrataError(error)) throw error;
    if (error.code === 'unknown-outcome') throw unsettled(error);
    if (error.code === 'conflict') {
      // Somebody may have changed the key just now, or the write been applied just now.
      if (error.key !== undefined && foreseen?.added.has(error.key) === true) return undefined;
      const now = await this.#records.read(attempt.writer);
      if (now?.version !== record?.version) return undefined;
    }
    if (!attempt.again) return error;
    return (await this.#settle(attempt, record, error)) ? error : undefined;
  }

  /**
   * A write that was asked for before may still be on its way through another server: whoever is
   * told that it failed must be right. So its number is used up first; false when somebody has moved
   * it meanwhile.
   */
  async #settle(
    { writer, sequence }: Attempt,
    over: WriterRecord | undefined,
    { code, key }: StrataError,
  ): Promise<boolean> {
    const move = this.#records.move(writer, { sequence, failed: { code, key: key ?? '' } }, over);
    try {
      await this.#side.batch([], move);
      if (over === undefined) this.#records.added();
      return true;
    } catch (error) {
      if (isStrataError(error, 'conflict')) return false;
      throw unsettled(error);
    }
  }

  async #commit(
    { writer, sequence }: Attempt,
    over: WriterRecord | undefined,
    writes: readonly WireWrite[],
    existed: string | undefined,
  ): Promise<Written> {
    const move = this.#records.move(
      writer,
      { sequence, ...(existed !== undefined && { existed }) },
      over,
    );
    const { rev = 0, results } = await this.#side.batch(writes, move);
    const [moved, ...outcomes] = results;
    if (over === undefined) this.#records.added();
    this.#known.delete(writer);
    const version = moved?.entry?.version ?? '';
    const modifiedAt = moved?.entry?.modifiedAt ?? 0;
    this.#known.set(writer, {
      sequence,
      ...(existed !== undefined && { existed }),
      version,
      rev,
      modifiedAt,
    });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_KNOWN) break;
      this.#known.delete(oldest);
    }
    return { rev, outcomes };
  }

  /**
   * What the writes will meet, and the writes on condition that they do: so it can be kept with
   * them. `undefined` where nobody asks, or others write the same keys too fast.
   */
  async #foresee(
    { existence }: Attempt,
    writes: readonly WireWrite[],
    tries: number,
  ): Promise<Foreseen | undefined> {
    if (!existence || tries > MAX_TRIES) return undefined;
    return foresee(writes, await this.#read(writes));
  }

  /** The result of a write that was applied before. */
  async #recall(
    record: WriterRecord,
    { writer, sequence, existence }: Attempt,
    writes: readonly WireWrite[],
  ): Promise<Written | Refused> {
    if (record.sequence > sequence)
      throw unknown(`${writer} has written since, and only its last result is kept`);
    if (record.failed !== undefined) return { refused: failedAsBefore(record.failed) };
    if (existence && record.existed === undefined)
      throw unknown('it was applied, but not what it met');
    const found = await this.#read(writes);
    const last = new Map(writes.map(({ key }, i) => [key, i]));
    const outcomes = writes.map((write, i): WriteOutcome => {
      const existed = record.existed?.[i] === '1';
      if (write.type === 'delete') return { existed };
      const entry = last.get(write.key) === i ? found.get(write.key) : undefined;
      return { existed, entry: this.#headOf(write, entry, record) };
    });
    return { rev: record.rev, outcomes };
  }

  /** The entry as it was written. One that was replaced since has a version that nothing has any more. */
  #headOf(
    { key, expiresAt, immutable, meta }: Extract<WireWrite, { type: 'set' }>,
    entry: Entry<unknown> | undefined,
    { rev, modifiedAt }: WriterRecord,
  ): EntryHead {
    const stands = entry !== undefined && (entry.rev === rev || (immutable && entry.immutable));
    if (stands) return entry;
    return {
      key,
      version: randomId(this.#side.primitives.env),
      rev,
      modifiedAt,
      ...(expiresAt !== undefined && { expiresAt }),
      ...(immutable && { immutable: true as const }),
      ...(meta !== undefined && { meta }),
    };
  }

  async #read(writes: readonly WireWrite[]): Promise<Map<string, Entry<unknown>>> {
    const { entries } = this.#side;
    const call = new Call(entries.env, 'batch', undefined, undefined, entries.timeoutMs);
    const keys = [...new Set(writes.map(({ key }) => key))];
    const found = await call.chain(entries.readMany(keys, call), (read) => read);
    const known = found.filter((entry) => entry !== undefined);
    return new Map(known.map((entry) => [entry.key, entry]));
  }
}

interface Foreseen {
  readonly writes: readonly WireWrite[];
  /** For each write '1' or '0'. */
  readonly existed: string;
  /** Keys that have got a condition here. */
  readonly added: ReadonlySet<string>;
  /** Nothing would change: all are deletes of what is not there. */
  readonly isIdle: boolean;
  readonly outcomes: readonly WriteOutcome[];
}

function foresee(
  writes: readonly WireWrite[],
  found: ReadonlyMap<string, Entry<unknown>>,
): Foreseen {
  const there = new Map<string, boolean>();
  const added = new Set<string>();
  let existed = '';
  const conditional = writes.map((write): WireWrite => {
    const { key, type } = write;
    const entry = found.get(key);
    const isFirst = !there.has(key);
    const wasThere = there.get(key) ?? entry !== undefined;
    existed += wasThere ? '1' : '0';
    there.set(key, type === 'set');
    if (!isFirst || write.if !== undefined) return write;
    added.add(key);
    return { ...write, if: entry === undefined ? 'absent' : { version: entry.version } };
  });
  const isIdle =
    !existed.includes('1') &&
    writes.every((write) => write.type === 'delete' && typeof write.if !== 'object');
  return {
    writes: conditional,
    existed,
    added,
    isIdle,
    outcomes: writes.map(() => ({ existed: false })),
  };
}

/** Not to be asked for again: the answer will not change. */
function unknown(why: string): StrataError {
  return failure('unknown-outcome', 'write', why, { retryable: false });
}

/** The write may be asked for again: it is applied once at most. */
function unsettled(cause: unknown): StrataError {
  const what = 'the store has not said whether it was applied';
  return failure('unknown-outcome', 'write', what, { retryable: true, cause });
}

function contended(): StrataError {
  const what = 'others write the same at the same time, again and again';
  return failure('unknown-outcome', 'write', what, { retryable: true });
}

function failedAsBefore({ code, key }: NonNullable<WriterRecord['failed']>): StrataError {
  return failure(code, 'write', 'it was refused when it was asked for before', {
    ...(key !== '' && { key }),
  });
}
