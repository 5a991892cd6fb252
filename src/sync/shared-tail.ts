import { Call } from '../store/call.ts';
import type { Env } from '../store/env.ts';
import { isStrataError } from '../store/errors.ts';
import type { Position } from '../store/primitives.ts';
import { type GroupFrame, GroupReader, type GroupSource } from './group-frames.ts';
import { Pause } from './pause.ts';

export interface TailLimits {
  /** So many bytes of frames are kept for subscribers that are a little behind, all scopes together. */
  readonly historyBytes: number;
  /** While most followers have not taken what went out last, updates are gathered for so long. */
  readonly gatherMs: number;
}

/** After a failure of the store, followers read for themselves for so long; after some in a row they are told. */
const RETRY_MS = 100;
const MAX_FAILURES = 3;
/** Small frames are bounded by their number, because each costs something beside its bytes. */
const MAX_FRAMES = 4_096;
/** Of the time for which updates are gathered, so much passes between two groups however soon the first is taken. */
const LEAST_PART = 0.1;

/**
 * The newest frames of a store, encoded once for all subscribers of one scope. It reads on as soon
 * as its fastest follower wants more, and forgets its oldest frames: a follower that is further
 * behind reads for itself and comes back. So it is bounded in bytes, costs one read of the feed for
 * any number of followers, and nobody waits for the slow ones.
 */
export class SharedTail {
  readonly #source: GroupSource;
  readonly #gatherMs: number;
  /** The share of this tail in what is kept. */
  readonly #historyBytes: () => number;
  readonly #env: Env;
  readonly #reader: GroupReader;
  readonly #call: Call;
  #frames: GroupFrame[] = [];
  /** Number of the first frame kept. */
  #first = 0;
  #bytes = 0;
  /** After the last whole group; `undefined` before the first follower and after a failure. */
  #end: Position | undefined;
  /** Whether the last frame kept belongs to a group that goes on. */
  #open = false;
  #running = false;
  #failed = false;
  #failures = 0;
  #error: unknown;
  /** When the last group was complete, and how many followers have taken it since. */
  #sentMs: number = Number.NEGATIVE_INFINITY;
  #taken = 0;
  /** How many it had. */
  #operations = 0;
  readonly #gathering: Pause;
  /** How many follow, however far they are. */
  followers = 0;
  #wanting: Set<() => void> = new Set();
  #resume: (() => void) | undefined;

  constructor(source: GroupSource, gatherMs: number, historyBytes: () => number, env: Env) {
    this.#source = source;
    this.#gatherMs = gatherMs;
    this.#historyBytes = historyBytes;
    this.#env = env;
    this.#reader = new GroupReader(source);
    this.#gathering = new Pause(env);
    this.#call = Call.background(env, 'publish');
  }

  /** Bytes kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Number of the frame with which a subscriber at a position goes on, or `undefined` when it must read for itself. */
  attach(at: Position): number | undefined {
    const end = this.#end;
    if (this.#failed) return undefined;
    if (end === undefined || end.epoch !== at.epoch) return this.#startAt(at);
    if (!this.#open && end.rev <= at.rev) return this.#next;
    for (let i = this.#frames.length - 1; i >= 0; i--) {
      const frame = this.#frames[i] as GroupFrame;
      // A group serves any state from its beginning on: it brings the last of every key it names.
      if (frame.begins && frame.from <= at.rev) return this.#first + i;
    }
    return undefined;
  }

  /** A frame, `'wait'` for one to come, or `'lost'` for one that was forgotten. */
  at(index: number): GroupFrame | 'wait' | 'lost' {
    if (index < this.#first || index > this.#next) return 'lost';
    return this.#frames[index - this.#first] ?? 'wait';
  }

  /** Asks for more: `wake` is called once, when there is something new to see. */
  want(wake: () => void): void {
    this.#wanting.add(wake);
    this.#resume?.();
    if (!this.#running) this.#run();
  }

  /** Fails when the store has nothing more to give. */
  throwIfOver(): void {
    if (isStrataError(this.#error, 'closed') || this.#failures >= MAX_FAILURES) throw this.#error;
  }

  unwant(wake: () => void): void {
    this.#wanting.delete(wake);
  }

  /** A follower that held everything up to one revision now holds it up to another. */
  took(before: number, rev: number): void {
    const end = this.#end?.rev ?? 0;
    if (before >= end || rev < end) return;
    this.#taken++;
    if (this.#isTaken) this.#gathering.cut();
  }

  /** Whether most followers have the last group: nobody gains by waiting then. */
  get #isTaken(): boolean {
    return this.#taken * 2 >= this.followers;
  }

  /** Ends reading: nobody follows any more. */
  close(): void {
    this.#call.end('closed');
    this.#gathering.cut();
    this.#resume?.();
    this.#forgetAll();
  }

  get #next(): number {
    return this.#first + this.#frames.length;
  }

  /** Begins anew at a position, unless others follow from where it is. */
  #startAt(at: Position): number | undefined {
    if (this.#running) return undefined;
    this.#forgetAll();
    this.#end = at;
    return this.#first;
  }

  /** Numbers given out before lead to `'lost'`. */
  #forgetAll(): void {
    this.#first = this.#next + 1;
    this.#frames = [];
    this.#bytes = 0;
    this.#end = undefined;
    this.#open = false;
  }

  #run(): void {
    this.#running = true;
    this.#rounds()
      .catch((error: unknown) => {
        // Followers then read for themselves, and meet the error where it concerns them: one whose
        // cursor has expired gets a snapshot there.
        this.#failed = true;
        if (!isStrataError(error, 'cursor-expired')) {
          this.#failures++;
          this.#error = error;
        }
        this.#forgetAll();
      })
      .finally(() => {
        this.#running = false;
        if (this.#end === undefined) this.#wake();
        else if (this.#wanting.size > 0) this.#run();
      });
  }

  async #rounds(): Promise<void> {
    if (this.#failed) {
      await this.#sleep(RETRY_MS);
      this.#failed = false;
    }
    while (this.#wanting.size > 0) {
      await this.#gather();
      const end = this.#end;
      if (end === undefined) return;
      if (!(await this.#readGroup(end))) await this.#source.side.feed.wait(end, this.#call);
      this.#failures = 0;
      this.#error = undefined;
    }
  }

  /** An update goes out at once while nothing is under way; those that follow closely go together. */
  async #gather(): Promise<void> {
    for (let ms = this.#waitMs(); ms > 0 && this.#end !== undefined; ms = this.#waitMs())
      await this.#gathering.sleep(ms, { background: true });
  }

  /**
   * How long the next group waits. Some time passes in any case, or followers in this process that
   * answer at once would let nothing else run; the whole time after a group that only moves the
   * cursor, which nobody waits for.
   */
  #waitMs(): number {
    const isSoon = this.#isTaken && this.#operations > 0;
    const wholeMs = isSoon ? this.#gatherMs * LEAST_PART : this.#gatherMs;
    return this.#sentMs + wholeMs - this.#env.monotonicMs();
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#env.setTimer(resolve, delayMs, { background: true });
    });
  }

  async #readGroup(after: Position): Promise<boolean> {
    let came = false;
    for await (const frame of this.#reader.read(after, this.#call)) {
      this.#call.throwIfEnded();
      came = true;
      this.#push(frame);
      if (frame.end !== undefined) break;
      // Within a long group as well, only as fast as the fastest follower takes it.
      await this.#wanted();
    }
    return came;
  }

  async #wanted(): Promise<void> {
    if (this.#wanting.size > 0) return;
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
    });
    this.#resume = undefined;
  }

  #push(frame: GroupFrame): void {
    this.#frames.push(frame);
    this.#bytes += frame.bytes.length;
    this.#open = frame.end === undefined;
    if (frame.end !== undefined) {
      this.#end = frame.end;
      this.#sentMs = this.#env.monotonicMs();
      this.#taken = 0;
    }
    this.#operations = frame.operations + (frame.begins ? 0 : this.#operations);
    const historyBytes = this.#historyBytes();
    while (
      this.#frames.length > 1 &&
      (this.#bytes > historyBytes || this.#frames.length > MAX_FRAMES)
    ) {
      this.#bytes -= this.#frames.shift()?.bytes.length ?? 0;
      this.#first++;
    }
    this.#wake();
  }

  #wake(): void {
    const wanting = this.#wanting;
    this.#wanting = new Set();
    for (const wake of wanting) wake();
  }
}
