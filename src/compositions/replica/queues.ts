import { DedupeBuffer } from '../../kernel/dedupe-buffer/dedupe-buffer.ts';
import type { Change } from '../../store/entry.ts';
import type { Intent } from './intents.ts';

/** A commit of the first store, on its way to the other members. */
export interface StampedCommit<V> {
  readonly rev: number;
  /** The newest of each key, in the order of the last writes. */
  readonly changes: ReadonlyMap<string, Change<V>>;
  /** About how many bytes the values have. */
  readonly bytes: number;
  /** What the other synchronous members hold of it already, in turn. */
  readonly intents?: readonly (Intent | undefined)[];
}

/** What is applied to a member at once. */
export interface Window<V> {
  readonly changes: readonly Change<V>[];
  /** Everything that was put up to this turn is in it or was before it. */
  readonly turn: number;
}

/** What waits for a member. One window is out at a time. */
export interface ChangeQueue<V> {
  /** Changes that wait, those that are out included. */
  readonly size: number;
  readonly bytes: number;
  /** Gives the turn of the commit: its place among all that was put. */
  put(commit: StampedCommit<V>): number;
  /** Takes the next window; `undefined` when nothing waits. */
  take(): Window<V> | undefined;
  /** The window that is out is done with. */
  done(): void;
  clear(): void;
}

/** Every commit, in order, each one alone: as many windows as commits. */
export class CommitQueue<V> implements ChangeQueue<V> {
  #commits: StampedCommit<V>[] = [];
  #first = 0;
  #out = false;
  #size = 0;
  #bytes = 0;
  #puts = 0;
  #takes = 0;

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  put(commit: StampedCommit<V>): number {
    this.#commits.push(commit);
    this.#size += commit.changes.size;
    this.#bytes += commit.bytes;
    return ++this.#puts;
  }

  take(): Window<V> | undefined {
    const next = this.#commits[this.#first];
    if (next === undefined) return undefined;
    this.#out = true;
    return { changes: [...next.changes.values()], turn: ++this.#takes };
  }

  done(): void {
    const over = this.#commits[this.#first];
    if (!this.#out || over === undefined) return;
    this.#out = false;
    this.#size -= over.changes.size;
    this.#bytes -= over.bytes;
    this.#first++;
    if (this.#first < 256 && this.#first < this.#commits.length) return;
    this.#commits = this.#commits.slice(this.#first);
    this.#first = 0;
  }

  clear(): void {
    this.#commits = [];
    this.#first = 0;
    this.#out = false;
    this.#size = 0;
    this.#bytes = 0;
    this.#takes = this.#puts;
  }
}

interface Queued<V> {
  readonly key: string;
  readonly value: Change<V>;
  readonly bytes: number;
}

/**
 * The newest change of each key: a member that falls behind skips ahead. Everything queued is one
 * window. A commit that meets nothing else on its way costs no queueing.
 */
export class NewestQueue<V> implements ChangeQueue<V> {
  #buffer = newBuffer<V>();
  /** Waits alone: there is nothing in the buffer. */
  #alone: StampedCommit<V> | undefined;
  #outAlone: StampedCommit<V> | undefined;
  #waitingBytes = 0;
  #outBytes = 0;
  #puts = 0;

  get size(): number {
    const alone = (this.#alone?.changes.size ?? 0) + (this.#outAlone?.changes.size ?? 0);
    return alone + this.#buffer.size + (this.#buffer.inFlight?.size ?? 0);
  }

  get bytes(): number {
    return this.#waitingBytes + this.#outBytes;
  }

  put(commit: StampedCommit<V>): number {
    const before = this.#alone;
    if (before === undefined && this.#buffer.size === 0) {
      this.#alone = commit;
      this.#waitingBytes = commit.bytes;
    } else {
      if (before !== undefined) {
        this.#alone = undefined;
        this.#waitingBytes = 0;
        this.#merge(before);
      }
      this.#merge(commit);
    }
    return ++this.#puts;
  }

  take(): Window<V> | undefined {
    const changes = this.#takeAlone() ?? this.#takeAll();
    if (changes === undefined) return undefined;
    this.#outBytes = this.#waitingBytes;
    this.#waitingBytes = 0;
    return { changes, turn: this.#puts };
  }

  done(): void {
    const { inFlight } = this.#buffer;
    if (this.#outAlone !== undefined) this.#outAlone = undefined;
    else if (inFlight !== undefined) this.#buffer.acknowledge(inFlight);
    this.#outBytes = 0;
  }

  clear(): void {
    this.#buffer = newBuffer();
    this.#alone = undefined;
    this.#outAlone = undefined;
    this.#waitingBytes = 0;
    this.#outBytes = 0;
  }

  #merge({ changes, bytes }: StampedCommit<V>): void {
    const each = bytes / Math.max(1, changes.size);
    const updates: Queued<V>[] = [];
    for (const [key, value] of changes) {
      this.#waitingBytes += each - (this.#buffer.get(key)?.bytes ?? 0);
      updates.push({ key, value, bytes: each });
    }
    this.#buffer.onUpdates(updates);
  }

  #takeAlone(): readonly Change<V>[] | undefined {
    if (this.#alone === undefined) return undefined;
    this.#outAlone = this.#alone;
    this.#alone = undefined;
    return [...this.#outAlone.changes.values()];
  }

  #takeAll(): readonly Change<V>[] | undefined {
    const window = this.#buffer.tryNext();
    return typeof window === 'string' ? undefined : window.updates.map(({ value }) => value);
  }
}

function newBuffer<V>(): DedupeBuffer<Change<V>, Queued<V>> {
  return new DedupeBuffer<Change<V>, Queued<V>>({ trackSeen: false });
}
