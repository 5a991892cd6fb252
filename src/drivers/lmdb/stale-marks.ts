import type { IndexPlace } from '../../store/feed/plan.ts';

/** Beyond so many the marks are given up: the index is then compacted by looking every key up. */
const MAX_MARKS = 1_000_000;

/**
 * Remembers which changes of the index this process has replaced. Where they are all that were
 * replaced since the last compaction, the next one need not look its keys up.
 */
export class StaleMarks {
  readonly #marks = new Map<number, number | Set<number>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add({ rev, pos }: IndexPlace): void {
    if (this.#size >= MAX_MARKS) this.clear();
    const known = this.#marks.get(rev);
    if (known === undefined) this.#marks.set(rev, pos);
    else if (typeof known === 'number') {
      if (known === pos) return;
      this.#marks.set(rev, new Set([known, pos]));
    } else if (known.has(pos)) return;
    else known.add(pos);
    this.#size++;
  }

  has(rev: number, pos: number): boolean {
    const known = this.#marks.get(rev);
    return typeof known === 'number' ? known === pos : known?.has(pos) === true;
  }

  delete(rev: number, pos: number): void {
    const known = this.#marks.get(rev);
    if (typeof known === 'number' ? known !== pos : known?.delete(pos) !== true) return;
    this.#size--;
    if (typeof known === 'number' || known?.size === 0) this.#marks.delete(rev);
  }

  clear(): void {
    this.#marks.clear();
    this.#size = 0;
  }
}
