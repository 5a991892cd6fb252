import {
  type ChangeQueue,
  CommitQueue,
  NewestQueue,
  type StampedCommit,
  type Window,
} from './queues.ts';
import type { Load } from './room.ts';

/** The queue of one member. It is filled also while the feed brings what was before it: so the member goes on from there however many writes come. */
export class LaneQueue<V> {
  readonly #queue: ChangeQueue<V>;
  readonly #most: Load;
  /** The newest turn, and the newest that is done with. */
  putTurn = 0;
  doneTurn = 0;
  /** Everything beyond this revision, and this turn, is in the queue or was taken from it. */
  #fromRev = 0;
  #fromTurn = 0;

  constructor(everyWrite: boolean, most: Load) {
    this.#queue = everyWrite ? new CommitQueue() : new NewestQueue();
    this.#most = most;
  }

  get load(): Load {
    return { entries: this.#queue.size, bytes: this.#queue.bytes };
  }

  get isEmpty(): boolean {
    return this.#queue.size === 0;
  }

  get hasRoom(): boolean {
    return this.#queue.size < this.#most.entries && this.#queue.bytes < this.#most.bytes;
  }

  /** Gives the turn at which the commit is done with; one without changes has the turn of what replaced them. */
  put(commit: StampedCommit<V>): number {
    if (commit.changes.size > 0) this.putTurn = this.#queue.put(commit);
    return this.putTurn;
  }

  take(): Window<V> | undefined {
    return this.#queue.take();
  }

  done(turn: number): void {
    this.#queue.done();
    this.doneTurn = turn;
  }

  /** Leaves what was put up to a revision to the feed. */
  forget(rev: number): void {
    this.#queue.clear();
    this.#fromRev = rev;
    this.#fromTurn = this.putTurn;
  }

  /** Whether a member that has everything up to a revision can go on from the queue. */
  goesOnFrom(rev: number): boolean {
    return rev >= this.#fromRev;
  }

  /** The member goes on from the queue. */
  join(): void {
    this.doneTurn = this.#fromTurn;
  }
}
