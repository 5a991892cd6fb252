import type { Awaitable } from '../../../store/awaitable.ts';
import type { Call } from '../../../store/call.ts';
import { compareKeys, inRange, type KeyRange } from '../../../store/keys.ts';

/** So many pending keys are looked at in one go. */
const STRIDE = 256;

/** What lies over the pages of a store: newer, or deleted. */
export interface Overlay {
  readonly size: number;
  /** How many keys have ceased to be in it. */
  readonly retired: number;
  has(key: string): boolean;
  keys(range: KeyRange, after: string | undefined, count: number): readonly string[];
  watchRetiring(): Retired;
}

/** Keys that have ceased to be pending. */
export interface Retired {
  readonly keys: Set<string>;
  readonly overflowed: boolean;
  stop(): void;
}

/** How items are found: entries, or their keys alone. */
export interface Items<T> {
  keyOf(item: T): string;
  /** The pending item of a key; `undefined` where it is deleted or expired. */
  pending(key: string): T | undefined;
}

export interface MergedScan<T> {
  readonly overlay: Overlay;
  readonly items: Items<T>;
  /** The pages beneath, without a limit. */
  pages(range: KeyRange): AsyncIterable<readonly T[]>;
  /** Items as they are beneath by now, in the order asked. */
  reread(keys: readonly string[]): Awaitable<readonly (T | undefined)[]>;
}

/** Keys in (after, upTo], in the order of the range; without an end up to the end of the range. */
interface Stretch {
  readonly range: KeyRange;
  readonly after: string | undefined;
  readonly upTo: string | undefined;
}

/**
 * Pages of a store with what is pending over it, in one order. A page is what a reader of all its
 * keys would have found at the moment it is given: what has reached the store since the scan began,
 * and so may be neither in the page nor pending any longer, is read once more.
 */
export async function* mergedScan<T>(
  scan: MergedScan<T>,
  range: KeyRange,
  call: Call,
): AsyncGenerator<readonly T[]> {
  let left = range.limit;
  let after: string | undefined;
  while (left > 0) {
    const retired = scan.overlay.watchRetiring();
    const pages = scan.pages(beyond(range, after))[Symbol.asyncIterator]();
    let whole = false;
    try {
      while (left > 0 && !whole) {
        call.throwIfEnded();
        const step = await pages.next();
        whole = step.done === true;
        const page = step.done === true ? [] : step.value;
        if (!whole && page.length === 0) continue;
        const upTo = whole ? undefined : scan.items.keyOf(page[page.length - 1] as T);
        const stretch = { range, after, upTo };
        const merged = await merge(scan, page, stretch, left, retired);
        // Too much has reached the store to be read once more: the scan goes on anew from here.
        if (merged === undefined) break;
        after = upTo;
        left -= merged.length;
        forget(retired.keys, stretch);
        if (merged.length > 0) yield merged;
        if (whole) return;
      }
    } finally {
      retired.stop();
      if (!whole) await pages.return?.();
    }
  }
}

/** `undefined` where the keys that have reached the store are too many to know. */
async function merge<T>(
  scan: MergedScan<T>,
  page: readonly T[],
  stretch: Stretch,
  limit: number,
  retired: Retired,
): Promise<readonly T[] | undefined> {
  const reread = new Map<string, T | undefined>();
  for (;;) {
    const known = scan.overlay.retired;
    if (retired.overflowed) return undefined;
    const doubtful = [...retired.keys].filter(
      (key) => within(key, stretch) && !scan.overlay.has(key),
    );
    if (doubtful.length > 0) {
      const items = await scan.reread(doubtful);
      doubtful.forEach((key, i) => {
        reread.set(key, items[i]);
      });
    }
    // What ceased to be pending meanwhile is read again.
    if (scan.overlay.retired === known) return assemble(scan, page, stretch, limit, reread);
    reread.clear();
  }
}

/** Keys that were passed are of no interest. */
function forget(keys: Set<string>, stretch: Stretch): void {
  for (const key of keys) if (within(key, stretch)) keys.delete(key);
}

/** At one moment: nothing waits here. */
function assemble<T>(
  { overlay, items }: MergedScan<T>,
  page: readonly T[],
  stretch: Stretch,
  limit: number,
  reread: ReadonlyMap<string, T | undefined>,
): readonly T[] {
  const pending = overlay.size === 0 ? [] : pendingWithin(overlay, items, stretch, limit);
  if (pending.length === 0 && reread.size === 0)
    return page.length > limit ? page.slice(0, limit) : page;
  const merged = new Map<string, T>();
  for (const item of page) merged.set(items.keyOf(item), item);
  for (const [key, item] of reread) put(merged, key, item);
  for (const key of pending) put(merged, key, items.pending(key));
  const way = stretch.range.reverse ? -1 : 1;
  const ordered = [...merged].sort(([a], [b]) => compareKeys(a, b) * way);
  return ordered.slice(0, Math.min(limit, ordered.length)).map(([, item]) => item);
}

/** The pending keys of a stretch, as far as they may be needed. */
function pendingWithin<T>(
  overlay: Overlay,
  items: Items<T>,
  stretch: Stretch,
  limit: number,
): readonly string[] {
  const found: string[] = [];
  let live = 0;
  let after = stretch.after;
  for (;;) {
    const keys = overlay.keys(stretch.range, after, STRIDE);
    for (const key of keys) {
      if (!within(key, stretch)) return found;
      found.push(key);
      if (items.pending(key) !== undefined && ++live >= limit) return found;
    }
    if (keys.length < STRIDE) return found;
    after = keys[keys.length - 1];
  }
}

function put<T>(into: Map<string, T>, key: string, item: T | undefined): void {
  if (item === undefined) into.delete(key);
  else into.set(key, item);
}

function within(key: string, { range, after, upTo }: Stretch): boolean {
  const way = range.reverse ? -1 : 1;
  if (after !== undefined && compareKeys(key, after) * way <= 0) return false;
  if (upTo !== undefined && compareKeys(key, upTo) * way > 0) return false;
  return inRange(key, range);
}

/** As `MergedScan`, where everything is at hand. */
export interface BlockingScan<T> {
  readonly overlay: Overlay;
  readonly items: Items<T>;
  scan(range: KeyRange): Iterable<T>;
}

/**
 * As `mergedScan`, item by item. When something has reached the store since the scan beneath began,
 * that is begun anew where it stands, because it may have read ahead.
 */
export function* blockingScan<T>(
  { overlay, items, scan }: BlockingScan<T>,
  range: KeyRange,
): Generator<T> {
  let after: string | undefined;
  let inner: Iterator<T> | undefined;
  let held: IteratorResult<T> | undefined;
  let retired = overlay.retired;
  const restart = (): Iterator<T> => {
    inner?.return?.();
    retired = overlay.retired;
    return scan(beyond(range, after))[Symbol.iterator]();
  };
  try {
    for (let left = range.limit; left > 0; ) {
      if (inner === undefined || overlay.retired !== retired) {
        inner = restart();
        held = undefined;
      }
      held ??= inner.next();
      const upTo = held.done === true ? undefined : items.keyOf(held.value);
      const [key] = overlay.keys(range, after, 1);
      if (key !== undefined && within(key, { range, after, upTo })) {
        if (key === upTo) held = undefined;
        after = key;
        const item = items.pending(key);
        if (item === undefined) continue;
        left--;
        yield item;
      } else if (held.done === true) return;
      else {
        const item = held.value;
        held = undefined;
        after = upTo;
        left--;
        yield item;
      }
    }
  } finally {
    inner?.return?.();
  }
}

function beyond(range: KeyRange, after: string | undefined): KeyRange {
  const unlimited = { ...range, limit: Number.POSITIVE_INFINITY };
  if (after === undefined) return unlimited;
  const bound = { key: after, inclusive: false };
  return range.reverse ? { ...unlimited, upper: bound } : { ...unlimited, lower: bound };
}
