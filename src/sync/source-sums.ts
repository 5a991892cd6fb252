import { Answerer, type ScanRequest } from '../kernel/fingerprints/answerer.ts';
import { Fingerprinter, type Seed } from '../kernel/fingerprints/fingerprint.ts';
import type { Answer, Ask } from '../kernel/fingerprints/messages.ts';
import { RangeSums } from '../kernel/fingerprints/range-sums.ts';
import { Call } from '../store/call.ts';
import type { Entry } from '../store/entry.ts';
import type { Env } from '../store/env.ts';
import { isStrataError } from '../store/errors.ts';
import type { Position } from '../store/primitives.ts';
import type { GroupSource, WalkedSource } from './group-frames.ts';
import { rangeOf, readRange, sourceStampOf } from './stamps.ts';

/** An answer may have about so many bytes. */
const ANSWER_BYTES = 64 * 1024;
/** The longest that one scan may take. */
const READ_TIMEOUT_MS = 300_000;
const WHOLE = { lower: '', upper: undefined };

/**
 * The sums of one scope of a store, for all subscribers that compare it: one reading of the whole
 * store, the first time and after a change of epoch; then the feed tells which buckets to read again.
 * Nothing is done while nobody compares.
 */
export class SourceSums {
  readonly seed: Seed;
  /** Subscribers that compare now. */
  users = 0;
  readonly #source: GroupSource;
  readonly #prefix: string;
  readonly #env: Env;
  readonly #call: Call;
  readonly #sums = new RangeSums();
  readonly #fingerprinter: Fingerprinter;
  /** Changes up to here are noted. */
  #at: Position | undefined;
  /** One after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(source: GroupSource, prefix: string, env: Env) {
    this.#source = source;
    this.#prefix = prefix;
    this.#env = env;
    this.#call = Call.background(env, 'publish');
    const words = new DataView(env.randomBytes(16).slice().buffer);
    this.seed = [0, 4, 8, 12].map((at) => words.getUint32(at)) as unknown as Seed;
    this.#fingerprinter = new Fingerprinter(this.seed);
  }

  /** Entries in the scope, as far as they are known. */
  get count(): number {
    return this.#sums.count;
  }

  answerer(): Answerer {
    return new Answerer(this.#sums, new Fingerprinter(this.seed), { answerBytes: ANSWER_BYTES });
  }

  /** Brings the sums up to date, and gives a position that nothing in them is older than. */
  refresh(): Promise<Position> {
    return this.#alone(async () => {
      const { side, walked } = this.#source;
      const at =
        walked === undefined
          ? await this.#noteChanges((await side.feed.state(this.#call)).head)
          : await this.#noteReached(walked);
      this.#at = at;
      this.#sums.expire(this.#env.now());
      // Spans that others were given must stay what they are.
      if (this.users <= 1) this.#sums.compact();
      const answerer = new Answerer(this.#sums, this.#fingerprinter, { answerBytes: 0 });
      await this.#read(answerer.bringUpToDate(WHOLE));
      return at;
    });
  }

  answer(answerer: Answerer, ask: Ask): Promise<Answer | 'unknown'> {
    return this.#alone(() => this.#read(answerer.answer(ask)));
  }

  close(): void {
    this.#call.end('closed');
  }

  /** Notes what changed up to the head, or forgets everything where that cannot be told. */
  async #noteChanges(head: Position): Promise<Position> {
    let at = this.#at;
    this.#at = undefined;
    try {
      while (at !== undefined && (at.epoch !== head.epoch || at.rev < head.rev))
        at = await this.#noteGroup(at);
    } catch (error) {
      if (!isStrataError(error, 'cursor-expired')) throw error;
      at = undefined;
    }
    if (at === undefined) this.#sums.clear();
    return at ?? head;
  }

  /**
   * Notes what a walk has found to be new. What it no longer reaches is not noted: its bucket is
   * then asked for in vain, and nothing that is reached is overlooked.
   */
  async #noteReached(walked: WalkedSource): Promise<Position> {
    const { at, changed } = await walked.look(this.#at, this.#call);
    if (changed === 'all') this.#sums.clear();
    else for (const key of changed) this.#sums.touch(key);
    return at;
  }

  async #noteGroup(after: Position): Promise<Position | undefined> {
    const { side, scope } = this.#source;
    let end: Position | undefined;
    for await (const page of side.feed.read(after, this.#call)) {
      end = page.end;
      for (const { key } of page.changes) if (scope.accepts(key)) this.#sums.touch(key);
    }
    return end;
  }

  async #read<T>(steps: Generator<ScanRequest, T>): Promise<T> {
    const { side, scope, storeId, walked } = this.#source;
    const belongs = (entry: Entry<unknown>): boolean =>
      scope.accepts(entry.key) &&
      scope.holds?.(entry) !== false &&
      walked?.reaches(entry.key) !== false;
    const epochOf = (rev: number): string => side.feed.epochOf(rev);
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) {
      const { span, add } = step.value;
      const range = rangeOf(span, this.#prefix);
      // A store that hangs must not hold up all who come later.
      const call = new Call(this.#env, 'publish', undefined, { timeoutMs: READ_TIMEOUT_MS });
      const release = this.#call.onEnd(() => call.end('closed'));
      const done = readRange(side.entries, range, call, (entry) => {
        const { key, expiresAt } = entry;
        if (belongs(entry)) add({ key, stamp: sourceStampOf(entry, storeId, epochOf), expiresAt });
      });
      await call.guard(done).finally(release);
    }
    return step.value;
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
