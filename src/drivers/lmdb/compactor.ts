import type { IndexPlace } from '../../store/feed/plan.ts';
import { mayBeCurrent } from './change-index.ts';
import { PageCursor, PageMerger, type StoredPage } from './change-page.ts';
import type { Group } from './group.ts';
import type { Reader } from './reader.ts';
import type { StaleMarks } from './stale-marks.ts';

/** One step examines so many changes, which holds the thread for some milliseconds. */
const STEP_MARKED = 200_000;
const STEP_LOOKED_UP = 2_000;
/** A page that keeps all its changes is joined with its neighbours when it is smaller. */
const SMALL_PAGE_BYTES: number = 4 * 1024;

/** What a step does with the pages it examines. */
interface Rewriting {
  readonly old: readonly Buffer[];
  readonly pages: readonly StoredPage[];
  readonly removed: readonly IndexPlace[];
  /** The last page examined, when there are more. */
  readonly next: Buffer | undefined;
}

/**
 * Takes changes out of the index that are no longer their key's last, and joins the pages that
 * become small. It goes through the index in steps that each are one transaction; stopped
 * anywhere, it leaves an index as good as before.
 */
export class Compactor {
  readonly #reader: Reader;
  readonly #marks: StaleMarks;
  /** Key of the last page of the step before; a pass begins without. */
  #after: Buffer | undefined;
  /** All that is stale is marked: nothing need be looked up. */
  #marked = false;
  #removed = 0;

  constructor(reader: Reader, marks: StaleMarks) {
    this.#reader = reader;
    this.#marks = marks;
  }

  /**
   * Adds the next step to a group, of whose base so many stale changes are not in the tables yet.
   * `finish` is to be called once the group is applied, or at once where the step writes nothing,
   * and says whether the pass is over.
   */
  step(group: Group, staleOnTheWay: number): { readonly writes: boolean; finish(): boolean } {
    const { stale } = group.base;
    if (this.#after === undefined) {
      this.#removed = 0;
      this.#marked = this.#marks.size + staleOnTheWay === stale;
      if (!this.#marked) this.#marks.clear();
    }
    const { old, pages, removed, next } = this.#examine();
    const found = this.#removed + removed.length;
    // Looked up everywhere and found nowhere: the count was of something else.
    const miscounted = next === undefined && !this.#marked && found === 0;
    const corrected = miscounted ? stale - staleOnTheWay : removed.length;
    const finish = (): boolean => {
      for (const { rev, pos } of removed) this.#marks.delete(rev, pos);
      this.#removed = found;
      this.#after = next;
      return next === undefined;
    };
    const writes = old.length > 0 || corrected > 0;
    if (writes) {
      const { changes } = this.#reader.tables;
      for (const key of old) void changes.remove(key);
      for (const { key, bytes } of pages) void changes.put(key, bytes);
      group.keep({});
      group.adjust({ changes: -removed.length, stale: -corrected });
    }
    return { writes, finish };
  }

  /** Begins the next pass anew. */
  reset(): void {
    this.#after = undefined;
  }

  #examine(): Rewriting {
    const merger = new PageMerger();
    const old: Buffer[] = [];
    const removed: IndexPlace[] = [];
    const most = this.#marked ? STEP_MARKED : STEP_LOOKED_UP;
    let examined = 0;
    let last: Buffer | undefined;
    const after = this.#after;
    const range = after === undefined ? {} : { start: after, exclusiveStart: true };
    const { changes } = this.#reader.tables;
    for (const { key, value } of this.#reader.range(changes, range)) {
      if (examined >= most) {
        merger.finish();
        return { old, pages: merger.pages, removed, next: last };
      }
      const before = removed.length;
      const kept: Uint8Array[] = [];
      const cursor = new PageCursor(value);
      /** Where what is kept of the page begins, since the last stale change. */
      let from = 0;
      for (; cursor.next(); examined++) {
        const { rev, pos, start } = cursor;
        if (!this.#isStale(cursor, rev, pos)) continue;
        removed.push({ rev, pos });
        if (start > from) kept.push(value.subarray(from, start));
        from = cursor.end;
      }
      if (cursor.start > from) kept.push(value.subarray(from, cursor.start));
      if (removed.length === before && value.length >= SMALL_PAGE_BYTES) merger.finish();
      else {
        old.push(key);
        merger.add(key, kept);
      }
      last = key;
    }
    merger.finish();
    return { old, pages: merger.pages, removed, next: undefined };
  }

  #isStale(change: PageCursor, rev: number, pos: number): boolean {
    if (this.#marked) return this.#marks.has(rev, pos);
    return !mayBeCurrent(this.#reader, change.key, change);
  }
}
