import type { JournalRecord, JournalSet, JournalWrite } from '../../../kernel/journal/journal.ts';
import { KeyedQueue } from '../../../kernel/keyed-queue.ts';
import { SortedKeys } from '../../../kernel/sorted-keys.ts';
import type { Change, Entry } from '../../../store/entry.ts';
import { type Base, decodeBase } from './base.ts';
import { HeldRecords } from './held-records.ts';

/** The newest write of a key, acknowledged and not yet in the back. */
export interface PendingWrite<V> {
  readonly key: string;
  /** Number of its commit, and the epoch of the journal in which it has that. */
  readonly rev: number;
  readonly epoch: string;
  /** As the journal holds it. */
  readonly write: JournalWrite<V>;
  /** The entry as this store shows it; absent for a delete. */
  readonly entry: Entry<V> | undefined;
  /** When it was acknowledged, on the monotonic clock. */
  readonly sinceMs: number;
  base: Base;
}

/** The writes of a record that are to be pending. */
export function pendingOf<V>(
  { seq, epoch, writes }: JournalRecord<V>,
  sinceMs: number,
): PendingWrite<V>[] {
  return writes.map((write) => ({
    key: write.key,
    rev: seq,
    epoch,
    write,
    entry: write.type === 'set' ? entryOf(write, seq) : undefined,
    sinceMs,
    base: decodeBase(write.base),
  }));
}

/** A journal's set as an entry. */
export function entryOf<V>(write: JournalSet<V>, rev: number): Entry<V> {
  const { type: _type, base: _base, adopted: _adopted, ...entry } = write;
  return { ...entry, rev };
}

export function changeOf<V>(write: JournalWrite<V>, rev: number): Change<V> {
  if (write.type === 'delete') return { type: 'delete', key: write.key, rev };
  return { ...entryOf(write, rev), type: 'set' };
}

/** Most keys that are noted for one reader. */
const MAX_RETIRED = 10_000;

/** Keys that have ceased to be pending while somebody reads. */
export class RetiredKeys {
  readonly keys: Set<string> = new Set();
  /** There were too many: those noted are not all. */
  overflowed = false;
  readonly #onStop: (keys: RetiredKeys) => void;

  constructor(onStop: (keys: RetiredKeys) => void) {
    this.#onStop = onStop;
  }

  add(key: string): void {
    if (this.overflowed) return;
    this.keys.add(key);
    if (this.keys.size <= MAX_RETIRED) return;
    this.overflowed = true;
    this.keys.clear();
  }

  stop(): void {
    this.#onStop(this);
  }
}

/**
 * Everything acknowledged and not yet in the back: of each key the newest write, in the order of
 * the writes. A window is taken out of it to be flushed; what is written meanwhile forms the next.
 */
export class PendingWrites<V> {
  /** Split where a window was taken: that is the older stretch, down to what is left of it. */
  readonly #queue = new KeyedQueue<PendingWrite<V>>();
  readonly #keys = new SortedKeys();
  readonly #held = new HeldRecords();
  /** What the back holds of keys that were settled since the journal was given what it is at. */
  readonly #settledMeanwhile = new Map<string, Base>();
  #isJournaling = false;
  readonly #retiring = new Set<RetiredKeys>();
  /** How many keys have ceased to be pending. */
  retired = 0;

  get size(): number {
    return this.#keys.size;
  }

  /** What the journal holds, in bytes. */
  get bytes(): number {
    return this.#held.bytes;
  }

  /** Whether the journal may drop a commit: the back has everything of it, and of those before it. */
  get hasSpent(): boolean {
    return this.#held.hasSpent;
  }

  get(key: string): PendingWrite<V> | undefined {
    return this.#queue.get(key);
  }

  /** The write that has been pending for longest. */
  get oldest(): PendingWrite<V> | undefined {
    return this.#queue.first;
  }

  /** Up to `count` keys beyond `after`, in the order of the range. */
  keys(
    range: Parameters<SortedKeys['page']>[0],
    after: string | undefined,
    count: number,
  ): readonly string[] {
    return this.#keys.page(range, after, count);
  }

  /** Whether the journal holds a write of a key that is not pending: after a crash it would be. */
  isHeld(key: string): boolean {
    return this.#held.hasSettled(key);
  }

  /** Takes over a commit that the journal holds; `settled` are the keys of writes that are not to be pending. */
  add(
    rev: number,
    writes: readonly PendingWrite<V>[],
    bytes: number,
    settled: readonly string[] = [],
  ): void {
    this.#held.add(rev, writes.length, settled, bytes);
    for (const write of writes) {
      const former = this.#queue.putLast(write.key, write);
      if (former === undefined) this.#keys.add(write.key);
      else this.#held.replace(former.rev);
      // It was decided on what has been settled while the journal took it.
      if (this.#settledMeanwhile.has(write.key)) write.base = this.#settledMeanwhile.get(write.key);
    }
  }

  /** Everything pending now, in the order of the writes; to be settled before the next is taken. */
  takeWindow(): readonly PendingWrite<V>[] {
    this.#queue.split();
    return this.#queue.older();
  }

  /** Whether a write is in the window, and not yet dealt with. */
  isInWindow(write: PendingWrite<V>): boolean {
    return this.#queue.isSplit && this.#queue.slot(write.key)?.older === write;
  }

  /** What is left of the window. */
  window(): Iterable<PendingWrite<V>> {
    return this.#queue.isSplit ? this.#queue.older() : [];
  }

  /** A write of the window is dealt with; `base` is what the back holds since then. */
  settle(write: PendingWrite<V>, base: Base): void {
    const { key } = write;
    const slot = this.#queue.slot(key);
    if (!this.#queue.isSplit || slot?.older !== write) return;
    this.#queue.deleteOlder(slot);
    if (this.#isJournaling) this.#settledMeanwhile.set(key, base);
    if (slot.newer !== undefined) {
      slot.newer.base = base;
      return;
    }
    this.#held.settle(write.rev, key);
    this.#keys.delete(key);
    this.retired++;
    for (const keys of this.#retiring) keys.add(key);
  }

  /** Notes the keys that cease to be pending, until it is stopped. */
  watchRetiring(): RetiredKeys {
    const keys = new RetiredKeys((gone) => this.#retiring.delete(gone));
    this.#retiring.add(keys);
    return keys;
  }

  /** The journal is given something that is decided: these are the commits that it may forget, if it is not at that. */
  takeSpent(): readonly number[] {
    this.#settledMeanwhile.clear();
    this.#isJournaling = true;
    return this.#held.takeSpent();
  }

  /** The journal has forgotten them, and has what it was given. */
  forget(revs: readonly number[]): void {
    this.#isJournaling = false;
    this.#held.forget(revs);
  }

  /** The journal has not forgotten them, nor taken anything. */
  giveBack(revs: readonly number[]): void {
    this.#isJournaling = false;
    this.#held.giveBack(revs);
  }

  /** Nothing is pending here any more: it is another one's to bring to the back. Gives the keys. */
  abandon(): readonly string[] {
    const keys = [...new Set(this.#queue.keys())];
    this.#queue.clear();
    this.#held.clear();
    this.#keys.clear();
    this.retired += keys.length;
    for (const seen of this.#retiring) for (const key of keys) seen.add(key);
    return keys;
  }
}
