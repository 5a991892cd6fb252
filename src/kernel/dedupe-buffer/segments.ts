import type { KeyedQueue, Run, Slot } from '../keyed-queue.ts';
import type { DedupeStatus } from './types.ts';

/** What the queue needs to know of an update. */
export interface Queueable {
  readonly key: string;
  readonly deleted?: boolean;
}

/** Updates between marks, in the order in which their keys were first queued, or a mark. */
export type Part<U extends Queueable> = DedupeStatus | Run<U>;

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
  readonly #updates: KeyedQueue<U>;
  readonly #cancels: boolean;

  /** With `cancels`, deletes of keys that the reader will not hold are dropped: those that it holds are kept in `updates`. */
  constructor(updates: KeyedQueue<U>, cancels: boolean) {
    this.#updates = updates;
    this.#cancels = cancels;
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

  /** Takes out everything, or as much as comes before a second update of some key. `release` what it gives. */
  take(): Part<U>[] {
    const updates = this.#updates;
    const second = updates.isSplit && !updates.overlaps ? updates.takeNewer() : undefined;
    const first = updates.takeOlder();
    const parts: Part<U>[] = [];
    if (this.#lead !== undefined) parts.push(this.#lead);
    if (first.items.length > 0) parts.push(first);
    if (this.#middle !== undefined) parts.push(this.#middle);
    if (second !== undefined && second.items.length > 0) parts.push(second);
    this.#lead = undefined;
    this.#middle = undefined;
    return parts;
  }

  /** Forgets the keys of what was taken, those excepted that the reader holds. */
  release(parts: readonly Part<U>[]): void {
    for (const part of parts) if (typeof part !== 'string') this.#updates.release(part);
  }

  /** Nothing that was taken is likely to come again soon. */
  forgetIdle(): void {
    this.#updates.forgetIdle();
  }

  /** Puts parts back that were taken, before everything that came since. */
  putBack(parts: readonly Part<U>[]): void {
    // What is split by a mark may take two.
    const later = [...this.take(), ...this.take()];
    for (const part of [...parts, ...later])
      if (typeof part === 'string') this.mark(part);
      else this.#putAll(part);
    this.release(later);
  }

  /** Drops everything. */
  clear(): void {
    this.#lead = undefined;
    this.#middle = undefined;
    this.#updates.clear();
  }

  /** Makes one segment of two. */
  #join(): void {
    this.#middle = undefined;
    if (!this.#updates.isSplit) return;
    const second = this.#updates.takeNewer();
    this.#putAll(second);
    this.#updates.release(second);
  }

  #putAll({ slots, items }: Run<U>): void {
    for (let i = 0; i < items.length; i++) this.put((slots[i] as Slot<U>).key, items[i] as U);
  }

  /** Whether the reader will not hold a key when it comes to the last segment. */
  #isAbsent(key: string): boolean {
    if (!this.#cancels) return false;
    const slot = this.#updates.slot(key);
    const before = this.#updates.isSplit ? slot?.older : undefined;
    return before === undefined ? slot?.kept !== true : before.deleted === true;
  }
}
