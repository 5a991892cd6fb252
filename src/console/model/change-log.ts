/** One change as it came in. */
export interface LoggedChange {
  /** Counts up from 1. */
  readonly number: number;
  readonly atMs: number;
  readonly key: string;
  readonly deleted: boolean;
  /** Revision that the copy had reached with it. */
  readonly rev: number;
  /** Of the value. */
  readonly size: number;
  /** The first bytes of the value. */
  readonly head: Uint8Array;
}

/** Bytes of a value that are kept to show it. */
const HEAD_BYTES = 160;

/** The newest changes, up to a number; older ones are forgotten. */
export class ChangeLog {
  readonly #capacity: number;
  #changes: LoggedChange[] = [];
  #count = 0;

  constructor(capacity: number = 2_000) {
    this.#capacity = capacity;
  }

  /** Changes seen since the beginning, forgotten ones included. */
  get count(): number {
    return this.#count;
  }

  add(key: string, value: Uint8Array | undefined, rev: number, atMs: number): void {
    this.#count++;
    this.#changes.push({
      number: this.#count,
      atMs,
      key,
      deleted: value === undefined,
      rev,
      size: value?.length ?? 0,
      // A copy: a view would keep the whole value in memory.
      head: value?.slice(0, HEAD_BYTES) ?? new Uint8Array(),
    });
    // Cut in halves, so that a flood moves each change but once.
    if (this.#changes.length >= 2 * this.#capacity)
      this.#changes = this.#changes.slice(-this.#capacity);
  }

  /** Newest first: those up to change number `upTo` whose key contains `filter`. */
  newest(upTo: number = this.#count, filter: string = ''): LoggedChange[] {
    const found: LoggedChange[] = [];
    const oldest = Math.max(0, this.#changes.length - this.#capacity);
    for (let i = this.#changes.length - 1; i >= oldest; i--) {
      const change = this.#changes[i] as LoggedChange;
      if (change.number <= upTo && change.key.includes(filter)) found.push(change);
    }
    return found;
  }

  clear(): void {
    this.#changes = [];
  }
}
