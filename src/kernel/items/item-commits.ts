import type { Call } from '../../store/call.ts';
import { sameBytes } from '../../store/clone.ts';
import type { EntryHead } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { failure, StrataError } from '../../store/errors.ts';
import { type CommitPlan, type Planned, planCommit, type Standing } from '../../store/feed/plan.ts';
import type { CommitOutcome, Write, WriteOutcome } from '../../store/primitives.ts';
import { WriteIds } from '../../store/version.ts';
import { pause } from '../pause.ts';
import { sideBySide } from '../side-by-side.ts';
import { CommitTurns } from './commit-turns.ts';
import type { Attempt, FoundItem, ItemPort } from './item-port.ts';
import { MOST_REPLACED } from './line.ts';

const MAX_PENDING_BYTES: number = 256 * 1024 * 1024;
/** Times that one write is sent when its answer is lost or the engine is busy. */
const WRITE_TRIES = 5;

type ByteWrite = Write<Uint8Array>;

/** What one commit does to one key: it is written in one step, and planned anew when another came first. */
interface Job<Found> {
  readonly key: string;
  readonly writes: readonly ByteWrite[];
  /** Where its writes stand in the commit. */
  readonly places: readonly number[];
  found: Found | undefined;
  plan: CommitPlan<Uint8Array>;
}

type Unplanned<Found> = Omit<Job<Found>, 'plan'>;

/** Plans commits against what stands, and writes each key on the condition that it still does. */
export class ItemCommits<Found extends FoundItem> {
  readonly #port: ItemPort<Found>;
  readonly #env: Env;
  readonly #ids: WriteIds;
  readonly #turns = new CommitTurns(MAX_PENDING_BYTES);

  constructor(port: ItemPort<Found>, env: Env) {
    this.#port = port;
    this.#env = env;
    this.#ids = new WriteIds(env);
  }

  commit(writes: readonly ByteWrite[], call: Call): Promise<CommitOutcome> {
    return this.#turns.run(writes, call, (owned, bytes) => this.#run(owned, bytes, call));
  }

  /** Resolves when no commit is under way. */
  settle(): Promise<void> {
    return this.#turns.settle();
  }

  async #run(writes: readonly ByteWrite[], bytes: number, call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    await this.#port.begin(bytes);
    // All conditions are looked at before anything is written.
    const found = await this.#findAll(writes, call);
    const jobs = found.map((one): Job<Found> => ({ ...one, plan: this.#plan(one, call) }));
    const applied: string[] = [];
    try {
      await sideBySide(jobs, async (job) => {
        if (await this.#apply(job, call)) applied.push(job.key);
      });
    } catch (error) {
      throw partly(error, applied);
    }
    return { outcomes: outcomesOf(writes.length, jobs) };
  }

  async #findAll(writes: readonly ByteWrite[], call: Call): Promise<Unplanned<Found>[]> {
    const keys = [...byKey(writes)].map(([key, places]) => {
      const own = places.map((at) => writes[at] as ByteWrite);
      return { key, places, writes: own };
    });
    const [first] = writes;
    // That it is absent is seen by writing it: where it is not, it is looked at then.
    const isNew = writes.length === 1 && first?.type === 'set' && first.if === 'absent';
    if (isNew && this.#port.conditional) return keys.map((one) => ({ ...one, found: undefined }));
    const heads = await this.#port.find(
      keys.map(({ key }) => key),
      call,
    );
    return sideBySide(
      keys.map((one, at) => ({ ...one, found: heads[at] })),
      async (one) => ({ ...one, found: await this.#withValue(one, call) }),
    );
  }

  async #find(job: Unplanned<Found>, call: Call): Promise<Found | undefined> {
    const [found] = await this.#port.find([job.key], call);
    return this.#withValue({ ...job, found }, call);
  }

  /** What was found, with the value where a write may repeat it. */
  async #withValue(
    { key, writes, found }: Unplanned<Found>,
    call: Call,
  ): Promise<Found | undefined> {
    const repeats = writes.some((write) => write.type === 'set' && write.immutable === true);
    return found?.head?.immutable === true && repeats ? this.#port.findWhole(key, call) : found;
  }

  #plan({ key, writes, found }: Unplanned<Found>, { operation }: Call): CommitPlan<Uint8Array> {
    const nowMs = Math.floor(this.#env.now());
    const plan = planCommit<Uint8Array>({
      operation,
      writes,
      rev: 0,
      nowMs,
      ids: this.#ids,
      standing: () => standingOf(key, writes, found, nowMs),
    });
    for (const change of plan.changes) this.#port.check?.(change, operation);
    return plan;
  }

  /** Brings a key to what is planned; false where that is what stands. */
  async #apply(job: Job<Found>, call: Call): Promise<boolean> {
    for (let losses = 1; ; losses++) {
      const change = job.plan.changes[0];
      if (change === undefined) return false;
      if (await this.#write(job, change, call)) return true;
      // Whoever came first has succeeded; those who did not go on in no step with each other.
      if (losses > 2) await pause(call, Math.min(losses - 2, 3));
      job.found = await this.#find(job, call);
      job.plan = this.#plan(job, call);
    }
  }

  /** Writes a change in place of what was found; false when something else stood there. */
  async #write(job: Job<Found>, change: Planned<Uint8Array>, call: Call): Promise<boolean> {
    const id = change.type === 'set' ? change.writeId : this.#ids.next();
    const attempt = this.#port.attempt({
      change,
      found: job.found,
      isConditional: this.#port.conditional && hasCondition(job.writes),
      writeId: (into, offset) => this.#ids.write(id, into, offset),
    });
    let done = false;
    try {
      done = await this.#send(job, attempt, id, call);
    } finally {
      if (!done) await attempt.abandon?.(call);
    }
    return done;
  }

  /** Sends an attempt until it is known what became of it. */
  async #send(job: Job<Found>, attempt: Attempt, id: number, call: Call): Promise<boolean> {
    let doubt: unknown;
    for (let tries = 1; ; tries++) {
      call.throwIfEnded();
      // From here on nothing can call it back.
      call.markSent();
      try {
        await attempt.send(call);
        return true;
      } catch (error) {
        const verdict = attempt.judge(error);
        if (verdict === 'lost' && doubt === undefined) return false;
        if (verdict === 'doubt') doubt = error;
        if (verdict === 'lost' || (verdict === 'doubt' && attempt.tells)) {
          const done = await this.#isDone(job, this.#ids.text(id), doubt, call);
          if (done !== undefined) return done;
        } else if (verdict === 'refused') throw this.#given(error, doubt, job, call);
        if (tries === WRITE_TRIES) throw this.#given(error, doubt, job, call);
        await pause(call, tries);
      }
    }
  }

  /**
   * After an answer was lost: true when the write was carried out, false when another came first,
   * `undefined` when nothing has happened yet. What stands tells, as it names what was there before.
   */
  async #isDone(
    job: Job<Found>,
    own: string,
    doubt: unknown,
    call: Call,
  ): Promise<boolean | undefined> {
    const { key, found, writes } = job;
    let now: Found | undefined;
    try {
      [now] = await this.#port.find([key], call);
    } catch (error) {
      throw this.#unknownOutcome(error, job, call);
    }
    if (now?.tag === found?.tag) return undefined;
    const { version, replaced = [] } = now?.head ?? {};
    if (version === own || replaced.includes(own)) return true;
    if (found?.head !== undefined && replaced.includes(found.head.version)) return false;
    const asked = hasCondition(writes);
    // It is gone, as was asked, whoever removed it.
    const isGone = now === undefined && job.plan.changes[0]?.type === 'delete';
    if (isGone && !asked) return true;
    // A key that was absent before both: it may also have been made, removed and made again.
    const isNew = now?.head !== undefined && found === undefined;
    if (isNew && replaced.length < MOST_REPLACED && !asked) return false;
    throw this.#unknownOutcome(doubt, job, call);
  }

  /** Why a write failed: what the engine says, unless an earlier attempt may have been carried out. */
  #given(error: unknown, doubt: unknown, job: Job<Found>, call: Call): StrataError {
    return doubt === undefined
      ? this.#port.failure(error, call.operation, job.key)
      : this.#unknownOutcome(doubt, job, call);
  }

  /** A write whose answer was lost. */
  #unknownOutcome(error: unknown, { key }: Job<Found>, { operation }: Call): StrataError {
    const cause = this.#port.failure(error, operation, key);
    const what = `the write may have been applied (${cause.message})`;
    return failure('unknown-outcome', operation, what, {
      key,
      cause,
      details: { reason: 'connection' },
    });
  }
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
  found: FoundItem | undefined,
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

function outcomesOf(count: number, jobs: readonly Job<unknown>[]): WriteOutcome[] {
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
