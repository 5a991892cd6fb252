import type { Position } from '../store/primitives.ts';

/** So many stretches are remembered. */
const MAX_STRETCHES = 100_000;

/**
 * At which positions it is known what was reachable: where it was looked at, and from there on as
 * long as nothing of it changed. Newest last; the oldest are forgotten.
 */
export class KnownPositions {
  #epoch = '';
  #stretches: { readonly from: number; to: number }[] = [];

  clear(): void {
    this.#stretches = [];
  }

  /** It was looked at here; `isNew` when it is not what it was at the last position. */
  add({ epoch, rev }: Position, isNew: boolean): void {
    if (epoch !== this.#epoch) this.clear();
    this.#epoch = epoch;
    const last = this.#stretches.at(-1);
    if (last !== undefined && (!isNew || last.from === rev)) last.to = rev;
    else this.#stretches.push({ from: rev, to: rev });
    if (this.#stretches.length > MAX_STRETCHES)
      this.#stretches = this.#stretches.slice(MAX_STRETCHES / 2);
  }

  /** The number of the stretch that a position is in, counted from the newest, which is 0. */
  ageOf({ epoch, rev }: Position): number | undefined {
    if (epoch !== this.#epoch) return undefined;
    let low = 0;
    let high = this.#stretches.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#stretches[middle]?.from ?? 0) <= rev) low = middle;
      else high = middle - 1;
    }
    const found = this.#stretches[low];
    if (found === undefined || rev < found.from || rev > found.to) return undefined;
    return this.#stretches.length - 1 - low;
  }
}
