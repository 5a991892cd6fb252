import type { Entry } from '../../../store/entry.ts';
import type { SetWrite, Write } from '../../../store/primitives.ts';
import {
  type Counts,
  decodeRecord,
  encodeRecord,
  type Lane,
  type Layout,
  laneOf,
  type StoredMark,
} from './layout.ts';

type Bytes = Uint8Array;

/** What a step has read of the hot store, by key. */
export type Reads = ReadonlyMap<string, Entry<Bytes> | undefined>;

/**
 * What steps see of the hot store and what they change in it, until it is committed as a whole. Every
 * commit writes the counts on condition that they are those that were read first, so that nobody
 * else changed anything of the archive meanwhile; user keys are written on condition of their own.
 */
export class Ledger {
  readonly nowMs: number;
  readonly #layout: Layout;
  readonly #reads: Reads;
  readonly #records = new Map<string, Bytes | undefined>();
  readonly #users = new Map<string, SetWrite<Bytes> | undefined>();
  readonly #counts: Counts;

  constructor(layout: Layout, reads: Reads, nowMs: number) {
    this.nowMs = nowMs;
    this.#layout = layout;
    this.#reads = reads;
    const counts = reads.get(layout.counts);
    this.#counts =
      counts === undefined
        ? { clock: 0, dirty: 0, failing: 0, evicted: 0 }
        : decodeRecord<Counts>(counts.value);
  }

  get counts(): Readonly<Counts> {
    return this.#counts;
  }

  /** The user's entry, unless a step of the same commit has changed it: then what it made of it. */
  entryOf(key: string): Entry<Bytes> | undefined {
    if (!this.#users.has(key)) return this.#reads.get(key);
    const write = this.#users.get(key);
    if (write === undefined) return undefined;
    const { type: _, if: __, cached: ___, modifiedAt = this.nowMs, ...rest } = write;
    return { ...rest, version: '', modifiedAt };
  }

  removeUser(key: string): void {
    this.#users.set(key, undefined);
  }

  restoreUser(key: string, entry: Omit<SetWrite<Bytes>, 'type' | 'key' | 'if'>): void {
    this.#users.set(key, { ...entry, type: 'set', key });
  }

  raiseClock(least: number): void {
    this.#counts.clock = Math.max(this.#counts.clock, least);
  }

  markOf(key: string): StoredMark | undefined {
    return this.#read<StoredMark>(this.#layout.mark(key));
  }

  /** Marks a key anew: with a generation above every one that was given before. */
  mark(key: string): StoredMark {
    const standing = this.markOf(key);
    if (standing === undefined) this.#counts.dirty++;
    const nowMs = this.nowMs;
    const fresh = { takenAs: 0, markedAt: nowMs, dueAt: nowMs, tries: 0, code: '', message: '' };
    const mark = { ...(standing ?? fresh), generation: ++this.#counts.clock };
    this.keep(key, mark, standing);
    return mark;
  }

  /** Keeps a mark that was changed; `standing` is what it was. */
  keep(key: string, mark: StoredMark, standing: StoredMark | undefined): void {
    if (standing !== undefined) this.#leaveLane(key, standing);
    if (laneOf(mark) === 'retry') this.#counts.failing++;
    this.#records.set(this.#placeOf(key, mark), new Uint8Array(0));
    this.#records.set(this.#layout.mark(key), encodeRecord(mark));
  }

  unmark(key: string): void {
    const mark = this.markOf(key);
    if (mark === undefined) return;
    this.#leaveLane(key, mark);
    this.#counts.dirty--;
    this.#records.set(this.#layout.mark(key), undefined);
  }

  #leaveLane(key: string, mark: StoredMark): void {
    if (laneOf(mark) === 'retry') this.#counts.failing--;
    this.#records.set(this.#placeOf(key, mark), undefined);
  }

  #placeOf(key: string, mark: StoredMark): string {
    const lane: Lane = laneOf(mark);
    return this.#layout.waiting(lane, mark.dueAt, key);
  }

  evictedAs(key: string): number | undefined {
    return this.#read<number>(this.#layout.record(key));
  }

  keepRecord(key: string, generation: number): void {
    if (this.evictedAs(key) === undefined) this.#counts.evicted++;
    this.#records.set(this.#layout.record(key), encodeRecord(generation));
  }

  dropRecord(key: string): boolean {
    if (this.evictedAs(key) === undefined) return false;
    this.#counts.evicted--;
    this.#records.set(this.#layout.record(key), undefined);
    return true;
  }

  /** Time since a key was written or used. */
  idleMs(key: string): number {
    const usedAt = this.#read<number>(this.#layout.use(key)) ?? 0;
    const { modifiedAt = 0 } = this.entryOf(key) ?? {};
    return this.nowMs - Math.max(usedAt, modifiedAt);
  }

  use(key: string): void {
    this.#records.set(this.#layout.use(key), encodeRecord(this.nowMs));
  }

  forgetUse(key: string): void {
    this.#records.set(this.#layout.use(key), undefined);
  }

  /** The name that the store has, or this one, where one is given, from now on. */
  identity(ours: string | undefined): string | undefined {
    const key = this.#layout.id;
    const standing = this.#read<string>(key);
    if (standing === undefined && ours !== undefined) this.#records.set(key, encodeRecord(ours));
    return standing ?? ours;
  }

  /** Takes a turn, unless somebody has it until later than now. */
  takeTurn(name: string, ms: number): boolean {
    const key = this.#layout.turn(name);
    if ((this.#read<number>(key) ?? 0) > this.nowMs) return false;
    this.#records.set(key, encodeRecord(this.nowMs + ms));
    return true;
  }

  /** What is to be committed; nothing where nothing was changed. */
  writes(): readonly Write<Bytes>[] {
    if (this.#records.size === 0 && this.#users.size === 0) return [];
    const users = [...this.#users].flatMap(([key, write]) => this.#userWrite(key, write));
    const records = [...this.#records].map(
      ([key, value]): Write<Bytes> =>
        value === undefined ? { type: 'delete', key } : { type: 'set', key, value },
    );
    const key = this.#layout.counts;
    const value = encodeRecord(this.#counts);
    return [{ type: 'set', key, value, if: this.#conditionOf(key) }, ...users, ...records];
  }

  #userWrite(key: string, write: SetWrite<Bytes> | undefined): Write<Bytes>[] {
    const condition = this.#conditionOf(key);
    if (write !== undefined) return [{ ...write, if: condition }];
    return condition === 'absent' ? [] : [{ type: 'delete', key, if: condition }];
  }

  #conditionOf(key: string): 'absent' | { readonly version: string } {
    const read = this.#reads.get(key);
    return read === undefined ? 'absent' : { version: read.version };
  }

  #read<R>(key: string): R | undefined {
    const value = this.#records.has(key) ? this.#records.get(key) : this.#reads.get(key)?.value;
    return value === undefined ? undefined : decodeRecord<R>(value);
  }
}
