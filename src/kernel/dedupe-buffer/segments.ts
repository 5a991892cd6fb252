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
  #first = new Map<string, U>();
  #middle: DedupeStatus | undefined;
  /** Present exactly while there is a middle mark. */
  #second: Map<string, U> | undefined;
  /** Keys that are in both segments. */
  #shared = 0;
  readonly #held: { has(key: string): boolean } | undefined;

  /** With `held`, the keys that the reader holds, deletes of keys that it will not hold are dropped. */
  constructor(held: { has(key: string): boolean } | undefined) {
    this.#held = held;
  }

  /** Distinct keys. */
  get size(): number {
    return this.#first.size + (this.#second?.size ?? 0) - this.#shared;
  }

  /** Updates and marks. */
  get length(): number {
    const marks = (this.#lead === undefined ? 0 : 1) + (this.#middle === undefined ? 0 : 1);
    return this.#first.size + (this.#second?.size ?? 0) + marks;
  }

  /** The newest update of a key. */
  get(key: string): U | undefined {
    return this.#second?.get(key) ?? this.#first.get(key);
  }

  *keys(): Generator<string> {
    yield* this.#first.keys();
    if (this.#second !== undefined) yield* this.#second.keys();
  }

  put(key: string, update: U): void {
    const second = this.#second;
    const before = second === undefined ? undefined : this.#first.get(key);
    const last = second ?? this.#first;
    const { size } = last;
    if (update.deleted === true && this.#isAbsent(key, before)) last.delete(key);
    else last.set(key, update);
    if (before !== undefined) this.#shared += last.size - size;
  }

  /** Adds a mark. It takes the place of a mark that stands last, and of the middle one, whose sides become one. */
  mark(status: DedupeStatus): void {
    this.#join();
    if (this.#first.size === 0) {
      this.#lead = status;
      return;
    }
    this.#middle = status;
    this.#second = new Map();
  }

  /** Adds all of another queue, as if it had been put here one by one. */
  append(other: Segments<U>): void {
    if (other.#lead !== undefined) this.mark(other.#lead);
    for (const [key, update] of other.#first) this.put(key, update);
    if (other.#middle !== undefined) this.mark(other.#middle);
    for (const [key, update] of other.#second ?? []) this.put(key, update);
  }

  /** Takes out everything, or as much as comes before a second update of some key. */
  take(): Segments<U> {
    const taken = new Segments<U>(this.#held);
    taken.#lead = this.#lead;
    taken.#first = this.#first;
    taken.#middle = this.#middle;
    if (this.#middle !== undefined) taken.#second = new Map();
    if (this.#shared === 0) {
      taken.#second = this.#second;
      this.#second = undefined;
    }
    this.#lead = undefined;
    this.#first = this.#second ?? new Map();
    this.#middle = undefined;
    this.#second = undefined;
    this.#shared = 0;
    return taken;
  }

  /** The parts that are not empty, in order. */
  *parts(): Generator<DedupeStatus | Segment<U>> {
    if (this.#lead !== undefined) yield this.#lead;
    if (this.#first.size > 0) yield this.#first;
    if (this.#middle !== undefined) yield this.#middle;
    if (this.#second !== undefined && this.#second.size > 0) yield this.#second;
  }

  /** Leaves out the first of `parts()`. */
  dropPart(): void {
    if (this.#lead !== undefined) {
      this.#lead = undefined;
      return;
    }
    this.#lead = this.#middle;
    this.#first = this.#second ?? new Map();
    this.#middle = undefined;
    this.#second = undefined;
    this.#shared = 0;
  }

  /** Makes one segment of two. */
  #join(): void {
    const second = this.#second;
    this.#middle = undefined;
    this.#second = undefined;
    this.#shared = 0;
    for (const [key, update] of second ?? []) this.put(key, update);
  }

  /** Whether the reader will not hold a key when it comes to the last segment. */
  #isAbsent(key: string, before: U | undefined): boolean {
    if (this.#held === undefined) return false;
    return before === undefined ? !this.#held.has(key) : before.deleted === true;
  }
}
