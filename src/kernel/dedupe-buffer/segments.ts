import { KeyedQueue } from '../keyed-queue.ts';
import type { DedupeStatus } from './types.ts';

/** What the queue needs to know of an update. */
export interface Queueable {
  readonly key: string;
  readonly deleted?: boolean;
}

/** One stretch between marks: updates by key, in the order in which the keys were first queued. */
export type Segment<U> = ReadonlyMap<string, U>;

/**
 * Updates and status marks in order, in at most two segments:
 *
 *     lead mark, first segment, middle mark, second segment
 *
 * each of which may be absent; a middle mark has a first segment before it. New updates go into the
 * last segment, in the place of an older one of their key. So nothing passes a mark, and two updates
 * a key and two marks are all that there can be.
 */
export class Segments<U extends Queueable> {
  #lead: DedupeStatus | undefined;
  /** Present exactly while the updates are split in two. */
  #middle: DedupeStatus | undefined;
  #updates = new KeyedQueue<U>();
  readonly #held: { has(key: string): boolean } | undefined;

  /** With `held`, the keys that the reader holds, deletes of keys that it will not hold are dropped. */
  constructor(held: { has(key: string): boolean } | undefined) {
    this.#held = held;
  }

  /** Distinct keys. */
  get size(): number {
    return this.#updates.size;
  }

  /** Updates and marks. */
  get length(): number {
    const marks = (this.#lead === undefined ? 0 : 1) + (this.#middle === undefined ? 0 : 1);
    return this.#updates.length + marks;
  }

  /** The newest update of a key. */
  get(key: string): U | undefined {
    return this.#updates.get(key);
  }

  /** Those in both segments come twice. */
  keys(): Iterable<string> {
    return this.#updates.keys();
  }

  put(key: string, update: U): void {
    if (update.deleted === true && this.#isAbsent(key)) this.#updates.delete(key);
    else this.#updates.put(key, update);
  }

  /** Adds a mark. It takes the place of a mark that stands last, and of the middle one, whose sides become one. */
  mark(status: DedupeStatus): void {
    this.#join();
    if (this.#updates.length === 0) {
      this.#lead = status;
      return;
    }
    this.#middle = status;
    this.#updates.split();
  }

  /** Adds all of another queue, as if it had been put here one by one. */
  append(other: Segments<U>): void {
    if (other.#lead !== undefined) this.mark(other.#lead);
    this.#putAll(other.#updates.older);
    if (other.#middle !== undefined) this.mark(other.#middle);
    this.#putAll(other.#updates.newer);
  }

  /** Takes out everything, or as much as comes before a second update of some key. */
  take(): Segments<U> {
    const taken = new Segments<U>(this.#held);
    taken.#lead = this.#lead;
    taken.#middle = this.#middle;
    if (this.#updates.overlaps) {
      taken.#updates = this.#updates.takeOlder();
      taken.#updates.split();
    } else taken.#updates = this.#updates.take();
    this.#lead = undefined;
    this.#middle = undefined;
    return taken;
  }

  /** The parts that are not empty, in order. */
  *parts(): Generator<DedupeStatus | Segment<U>> {
    const { older, newer } = this.#updates;
    if (this.#lead !== undefined) yield this.#lead;
    if (older.size > 0) yield older;
    if (this.#middle !== undefined) yield this.#middle;
    if (newer !== undefined && newer.size > 0) yield newer;
  }

  /** Leaves out the first of `parts()`. */
  dropPart(): void {
    if (this.#lead !== undefined) {
      this.#lead = undefined;
      return;
    }
    this.#updates.takeOlder();
    this.#lead = this.#middle;
    this.#middle = undefined;
  }

  /** Makes one segment of two. */
  #join(): void {
    this.#middle = undefined;
    this.#putAll(this.#updates.takeNewer());
  }

  #putAll(updates: Segment<U> | undefined): void {
    for (const [key, update] of updates ?? []) this.put(key, update);
  }

  /** Whether the reader will not hold a key when it comes to the last segment. */
  #isAbsent(key: string): boolean {
    if (this.#held === undefined) return false;
    const before = this.#updates.isSplit ? this.#updates.older.get(key) : undefined;
    return before === undefined ? !this.#held.has(key) : before.deleted === true;
  }
}
