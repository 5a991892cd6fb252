import type { Call } from '../../store/call.ts';
import { sameBytes } from '../../store/clone.ts';
import type { EntryHead } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { failure, StrataError } from '../../store/errors.ts';
import { type CommitPlan, type Planned, planCommit, type Standing } from '../../store/feed/plan.ts';
import type { CommitOutcome, Write, WriteOutcome } from '../../store/primitives.ts';
import { WriteIds } from '../../store/version.ts';
import {
  type Concern,
  isBusy,
  isInDoubt,
  isLost,
  isMissing,
  toStrataError,
  unknownOutcome,
} from './failures.ts';
import { nameOf } from './names.ts';
import { type Conditions, type Opening, UNCONDITIONAL } from './opening.ts';
import { pause } from './pause.ts';
import type { Found, Reader } from './reader.ts';
import { encodeDeletion, encodeEntry, MOST_REPLACED, type ObjectHead } from './record.ts';
import type { Requests } from './requests.ts';
import { sideBySide } from './side-by-side.ts';
import { Turns } from './turns.ts';

/** More commits, or values of more bytes, are refused until some of it is written. */
const MAX_PENDING_COMMITS = 10_000;
const MAX_PENDING_BYTES: number = 256 * 1024 * 1024;
/** Times that one write is sent when its answer is lost or the endpoint is busy. */
const WRITE_TRIES = 5;

type ByteWrite = Write<Uint8Array>;

/** What one commit does to one key: it is written in one step, and planned anew when another came first. */
interface Job {
  readonly key: string;
  readonly writes: readonly ByteWrite[];
  /** Where its writes stand in the commit. */
  readonly places: readonly number[];
  found: Found | undefined;
  plan: CommitPlan<Uint8Array>;
}

/** Plans commits against what stands, and writes each key on the condition that it still does. */
export class Commits {
  readonly #requests: Requests;
  readonly #opening: Opening;
  readonly #reader: Reader;
  readonly #env: Env;
  readonly #ids: WriteIds;
  readonly #turns = new Turns();
  #pendingBytes = 0;

  constructor(requests: Requests, opening: Opening, reader: Reader, env: Env) {
    this.#requests = requests;
    this.#opening = opening;
    this.#reader = reader;
    this.#env = env;
    this.#ids = new WriteIds(env);
  }

  async commit(writes: readonly ByteWrite[], call: Call): Promise<CommitOutcome> {
    let bytes = 0;
    for (const write of writes) if (write.type === 'set') bytes += write.value.length;
    const full =
      this.#turns.size >= MAX_PENDING_COMMITS ||
      (this.#turns.size > 0 && this.#pendingBytes + bytes > MAX_PENDING_BYTES);
    if (full)
      throw failure('overloaded', call.operation, `${this.#turns.size} commits are under way`);
    // The caller may change its bytes as soon as this returns.
    const owned = writes.map((write) =>
      write.type === 'set' ? { ...write, value: write.value.slice() } : write,
    );
    this.#pendingBytes += bytes;
    try {
      const keys = new Set(owned.map(({ key }) => key));
      return await this.#turns.run(keys, () => this.#run(owned, call));
    } finally {
      this.#pendingBytes -= bytes;
    }
  }

  /** Resolves when no commit is under way. */
  settle(): Promise<void> {
    return this.#turns.settle();
  }

  async #run(writes: readonly ByteWrite[], call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    const conditions = await this.#opening.forWriting();
    // All conditions are looked at before anything is written.
    const found = await sideBySide([...byKey(writes)], async ([key, places]) => {
      const own = places.map((at) => writes[at] as ByteWrite);
      // That it is absent is seen by writing it: where it is not, it is looked at then.
      const isNew = writes.length === 1 && own[0]?.if === 'absent' && conditions !== UNCONDITIONAL;
      return {
        key,
        places,
        writes: own,
        found: isNew ? undefined : await this.#find(key, own, call),
      };
    });
    const jobs = found.map((one): Job => ({ ...one, plan: this.#plan(one, call.operation) }));
    const applied: string[] = [];
    try {
      await sideBySide(jobs, async (job) => {
        if (await this.#apply(job, conditions, call)) applied.push(job.key);
      });
    } catch (error) {
      throw partly(error, applied);
    }
    return { outcomes: outcomesOf(writes.length, jobs) };
  }

  /** What stands under a key, with the value where a write may repeat it. */
  async #find(key: string, writes: readonly ByteWrite[], call: Call): Promise<Found | undefined> {
    const found = await this.#reader.find(key, call);
    const repeats = writes.some((write) => write.type === 'set' && write.immutable === true);
    return found?.head?.immutable === true && repeats ? this.#reader.findWhole(key, call) : found;
  }

  #plan(
    { key, writes, found }: Pick<Job, 'key' | 'writes' | 'found'>,
    operation: string,
  ): CommitPlan<Uint8Array> {
    const nowMs = Math.floor(this.#env.now());
    return planCommit<Uint8Array>({
      operation,
      writes,
      rev: 0,
      nowMs,
      ids: this.#ids,
      standing: () => standingOf(key, writes, found, nowMs),
    });
  }

  /** Brings a key to what is planned; false where that is what stands. */
  async #apply(job: Job, conditions: Conditions, call: Call): Promise<boolean> {
    for (let losses = 1; ; losses++) {
      const change = job.plan.changes[0];
      if (change === undefined) return false;
      if (await this.#write(job, change, conditions, call)) return true;
      // Whoever came first has succeeded; those who did not go on in no step with each other.
      if (losses > 2) await pause(call, Math.min(losses - 2, 3));
      job.found = await this.#find(job.key, job.writes, call);
      job.plan = this.#plan(job, call.operation);
    }
  }

  /** Writes a change in place of what was found; false when something else stood there. */
  async #write(
    job: Job,
    change: Planned<Uint8Array>,
    conditions: Conditions,
    call: Call,
  ): Promise<boolean> {
    const { key, found } = job;
    const name = nameOf(key);
    const concern = { operation: call.operation, key, bucket: this.#requests.bucket };
    const condition = conditions(found === undefined ? 'absent' : { etag: found.etag });
    const writeId = change.type === 'set' ? change.writeId : this.#ids.next();
    const isConditional = conditions !== UNCONDITIONAL && hasCondition(job.writes);
    const body = this.#bodyOf(change, writeId, found?.head, isConditional);
    let doubt: unknown;
    for (let tries = 1; ; tries++) {
      call.throwIfEnded();
      // From here on nothing can call it back.
      call.markSent();
      try {
        if (body === undefined) await this.#requests.remove(name, call);
        else await this.#requests.put(name, body, call, condition);
        return true;
      } catch (error) {
        if (body === undefined && isMissing(error)) return true;
        // Where a tag was named, an object that is gone is another state too.
        const lost = isLost(error) || (found !== undefined && isMissing(error));
        if (lost && doubt === undefined) return false;
        if (isInDoubt(error)) doubt = error;
        if (lost || (isInDoubt(error) && body !== undefined && conditions !== UNCONDITIONAL)) {
          const done = await this.#isDone(job, writeId, doubt, call);
          if (done !== undefined) return done;
        } else if (!isInDoubt(error) && !isBusy(error)) throw given(error, doubt, concern);
        if (tries === WRITE_TRIES) throw given(error, doubt, concern);
        await pause(call, tries);
      }
    }
  }

  /**
   * After an answer was lost: true when the write was carried out, false when another came first,
   * `undefined` when nothing has happened yet. What stands tells, as it names what was there before.
   */
  async #isDone(
    job: Job,
    writeId: number,
    doubt: unknown,
    call: Call,
  ): Promise<boolean | undefined> {
    const { key, found, writes } = job;
    const concern = { operation: call.operation, key, bucket: this.#requests.bucket };
    let now: Found | undefined;
    try {
      now = await this.#reader.find(key, call);
    } catch (error) {
      throw unknownOutcome(error, concern);
    }
    if (now?.etag === found?.etag) return undefined;
    const own = this.#ids.text(writeId);
    const { version, replaced = [] } = now?.head ?? {};
    if (version === own || replaced.includes(own)) return true;
    if (found?.head !== undefined && replaced.includes(found.head.version)) return false;
    // A key that was absent before both: it may also have been made, removed and made again.
    const isNew = now?.head !== undefined && found === undefined;
    if (isNew && replaced.length < MOST_REPLACED && !hasCondition(writes)) return false;
    throw unknownOutcome(doubt, concern);
  }

  /** The object of a change; `undefined` where there is to be none. */
  #bodyOf(
    change: Planned<Uint8Array>,
    id: number,
    replaced: ObjectHead | undefined,
    isConditional: boolean,
  ): Uint8Array | undefined {
    const writeId = (into: Uint8Array, offset: number): void => this.#ids.write(id, into, offset);
    if (change.type === 'set')
      return encodeEntry(change.key, { ...change.head, writeId, replaced }, change.write.value);
    // Endpoints do not remove on a condition, but replace on one.
    if (!isConditional) return undefined;
    const modifiedAt = Math.floor(this.#env.now());
    return encodeDeletion(change.key, { modifiedAt, writeId, replaced });
  }
}

/** Why a write failed: what the endpoint says, unless an earlier attempt may have been carried out. */
function given(error: unknown, doubt: unknown, concern: Concern): StrataError {
  return doubt === undefined ? toStrataError(error, concern) : unknownOutcome(doubt, concern);
}

function byKey(writes: readonly ByteWrite[]): Map<string, number[]> {
  const places = new Map<string, number[]>();
  for (const [at, { key }] of writes.entries()) {
    const known = places.get(key);
    if (known === undefined) places.set(key, [at]);
    else known.push(at);
  }
  return places;
}

function hasCondition(writes: readonly ByteWrite[]): boolean {
  return writes.some((write) => write.if !== undefined);
}

function standingOf(
  key: string,
  writes: readonly ByteWrite[],
  found: Found | undefined,
  nowMs: number,
): Standing<Uint8Array> | undefined {
  if (found === undefined) return undefined;
  const place = { rev: 0, pos: 0 };
  const { head, damage, value } = found;
  if (head === undefined) {
    // A damaged entry can be replaced or removed, but nothing can be said of its version.
    if (hasCondition(writes)) throw damage;
    return { ...place, live: { key, version: '', modifiedAt: 0 } };
  }
  if (!head.isLive(nowMs)) return undefined;
  return {
    ...place,
    live: head.entryHead(),
    sameValue: (other) => value !== undefined && sameBytes(value, other),
  };
}

function outcomesOf(count: number, jobs: readonly Job[]): WriteOutcome[] {
  const outcomes = new Array<WriteOutcome>(count);
  for (const { places, plan } of jobs)
    for (const [nth, at] of places.entries()) {
      const one = plan.outcomes[nth] as WriteOutcome;
      outcomes[at] = one.entry === undefined ? one : { ...one, entry: withoutRev(one.entry) };
    }
  return outcomes;
}

/** The store has no revisions. */
function withoutRev({ rev: _, ...head }: EntryHead): EntryHead {
  return head;
}

/** A failure in the midst of a batch: it says which keys have their new state. */
function partly(error: unknown, applied: readonly string[]): unknown {
  if (!(error instanceof StrataError) || applied.length === 0) return error;
  const { code, operation, retryable, details, key } = error;
  return new StrataError(code, `${error.message}; ${applied.length} other keys were written`, {
    operation,
    key,
    retryable,
    cause: error,
    details: { ...details, applied },
  });
}
