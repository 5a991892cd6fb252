import type { Call } from '../store/call.ts';
import { isStrataError } from '../store/errors.ts';
import type { Position } from '../store/primitives.ts';
import type { Turn } from './admission.ts';
import { type GroupFrame, GroupReader, type GroupSource } from './group-frames.ts';
import type { PublicationCore } from './publication-core.ts';
import type { SharedTail } from './shared-tail.ts';

/** A snapshot that the store cannot finish so many times in a row is given up. */
const MAX_FRESH_STARTS = 8;

/** The connection that a stream is for. */
export interface StreamOwner {
  /** Gives a turn to read alone, or nothing when the connection has ended. */
  enter(): Promise<Turn | undefined>;
  /** Waits where sending has kept everything else waiting for long enough. */
  breathe(): Promise<void> | undefined;
  /** Whether a frame may go out now; `wake` is called when that may have changed. */
  mayGo(): boolean;
  send(frame: GroupFrame): void;
}

export interface StreamInit {
  readonly core: PublicationCore;
  readonly source: GroupSource;
  readonly owner: StreamOwner;
  /** Ends with the connection. */
  readonly call: Call;
}

/**
 * Brings one subscriber from where it is to the head and keeps it there: by the shared tail where
 * that reaches back far enough, else by a reading of its own. All it holds meanwhile is a position.
 */
export class SubscriberStream {
  readonly #init: StreamInit;
  readonly #tail: SharedTail;
  readonly #release: () => void;
  readonly #wake = (): void => this.wake();
  #ended = false;
  #resolve: (() => void) | undefined;
  #freshStarts = 0;
  #ackedRev = 0;
  state: 'waiting' | 'reading' | 'live' | 'blocked' = 'waiting';
  sentOperations = 0;

  constructor(init: StreamInit) {
    this.#init = init;
    const { tail, release } = init.core.follow(init.source);
    this.#tail = tail;
    this.#release = release;
  }

  /**
   * Runs until `end`; rejects when the store fails. `undefined` starts with the whole state, or with
   * a first group made otherwise; for that there may be a turn already.
   */
  async run(
    start: Position | undefined,
    first?: (reader: GroupReader) => AsyncGenerator<GroupFrame, void>,
    turn?: Turn,
  ): Promise<void> {
    let at = start;
    if (first !== undefined || turn !== undefined) at = await this.#readAlone(start, first, turn);
    while (!this.#ended) {
      this.#tail.throwIfOver();
      const index = at === undefined ? undefined : this.#tail.attach(at);
      if (at !== undefined && index !== undefined) at = await this.#follow(index, at);
      else at = await this.#readAlone(at);
    }
  }

  /** The subscriber holds everything up to a revision. */
  acked(rev: number): void {
    this.#tail.took(this.#ackedRev, rev);
    this.#ackedRev = rev;
  }

  /** Something changed: credit, room in the connection, or the tail. */
  wake(): void {
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#tail.unwant(this.#wake);
    this.#release();
    this.wake();
  }

  /** Sends frames of the tail as they come; returns the position when they went by too fast. */
  async #follow(start: number, from: Position): Promise<Position> {
    let at = from;
    this.state = 'live';
    for (let index = start; !this.#ended; ) {
      const frame = this.#tail.at(index);
      if (frame === 'lost') return at;
      if (frame === 'wait') {
        await this.#more();
        this.#tail.unwant(this.#wake);
        continue;
      }
      if (!this.#init.owner.mayGo()) await this.#room();
      if (this.#ended) break;
      this.#send(frame);
      index++;
      // The tail may lag behind a reading of one's own.
      if (frame.end !== undefined && frame.end.rev > at.rev) at = frame.end;
      const pause = this.#init.owner.breathe();
      if (pause !== undefined) await pause;
    }
    return at;
  }

  /** Reads one group, however large, as fast as the subscriber takes it, when it is its turn. */
  async #readAlone(
    from: Position | undefined,
    group = (reader: GroupReader) => reader.read(from, this.#init.call),
    held?: Turn,
  ): Promise<Position | undefined> {
    // Room first: who does not read is not read for.
    if (held === undefined) await this.#room();
    this.state = 'waiting';
    const turn = held ?? (this.#ended ? undefined : await this.#init.owner.enter());
    if (turn === undefined) return from;
    const frames = group(new GroupReader(this.#init.source));
    try {
      for (;;) {
        this.state = 'reading';
        await this.#room(turn);
        const next = this.#ended ? undefined : await frames.next();
        if (this.#ended || next === undefined) return from;
        if (next.done === true) break;
        this.#send(next.value);
        turn.moved(next.value.bytes.length);
        const pause = this.#init.owner.breathe();
        if (pause !== undefined) await pause;
        if (next.value.end === undefined) continue;
        this.#freshStarts = 0;
        return next.value.end;
      }
    } catch (error) {
      if (this.#ended) return from;
      if (!isStrataError(error, 'cursor-expired')) throw error;
      if (from === undefined && ++this.#freshStarts >= MAX_FRESH_STARTS) throw error;
      return undefined;
    } finally {
      turn.end();
      await frames.return();
    }
    // Nothing follows, yet the tail is somewhere else: it moves on when asked.
    this.state = 'live';
    await this.#more();
    this.#tail.unwant(this.#wake);
    return from;
  }

  #send(frame: GroupFrame): void {
    this.sentOperations += frame.operations;
    this.#init.owner.send(frame);
  }

  async #room(turn?: Turn): Promise<void> {
    const { state } = this;
    while (!this.#ended && !this.#init.owner.mayGo()) {
      this.state = 'blocked';
      turn?.blocked();
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
    }
    this.state = state;
  }

  /** Not `async`: a connection that is idle waits here, and every frame that waits takes memory. */
  #more(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return new Promise<void>((resolve) => {
      this.#resolve = resolve;
      this.#tail.want(this.#wake);
    });
  }
}
