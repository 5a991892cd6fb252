import { KeyedGenerations, KeyState } from '../../kernel/keyed-generations.ts';
import type { Entry } from '../../store/entry.ts';
import type { KnownMisses } from './known-misses.ts';

/** What is under way on one key of a tiered store. While there is one, the front is not asked for the key. */
export class CopyState<V> extends KeyState {
  /** The front may hold something older than the back. */
  fenced = false;
  /** How often it has been fenced: a write of the front that began before lifts no fence. */
  fences = 0;
  /** The write of the front under way; its result never rejects. */
  frontWrite: Promise<unknown> | undefined = undefined;
  /** A read of the back. Those who ask now may share it, unless a write is under way: it may have begun before that took effect. */
  load: Promise<Entry<V> | undefined> | undefined = undefined;
  /** When it began, in ms since 1970. */
  loadSinceMs = 0;
  /** The read that begins after this one, for those who may not share it. */
  nextLoad: Promise<Entry<V> | undefined> | undefined = undefined;
  /**
   * With `follow`: the newest revision of the key that somebody was given or that the feed told of
   * while a write was under way, `Infinity` where it is not known. A copy that is older is not kept.
   */
  seenRev = 0;
  /** Reads of the back whose result is not dealt with yet: they must meet the writes of their time here. */
  readings = 0;
  /** Those of them beside which the copy of the front is served on, as long as they have no answer. */
  besides = 0;
  /** A read of the back for those who want what it holds now; not shared, since it may have begun before that was asked for. */
  renewal: Promise<Entry<V> | undefined> | undefined = undefined;
  /** The one that begins after it, which they share. */
  nextRenewal: Promise<Entry<V> | undefined> | undefined = undefined;

  /** Whether the front may be asked all the same: nothing is under way that makes its copy doubtful. */
  get servable(): boolean {
    return (
      this.besides > 0 &&
      this.besides === this.readings &&
      this.writers === 0 &&
      !this.fenced &&
      this.frontWrite === undefined
    );
  }

  /** Notes that a state of the key is known outside. */
  noteSeen(rev: number | undefined): void {
    this.seenRev = Math.max(this.seenRev, rev ?? Number.POSITIVE_INFINITY);
  }

  override get idle(): boolean {
    return (
      this.writers === 0 && this.readings === 0 && !this.fenced && this.frontWrite === undefined
    );
  }
}

/** The keys on which something is under way. Whatever begins on a key ends what is known of its absence. */
export class CopyStates<V> extends KeyedGenerations<CopyState<V>> {
  /** Absent where nothing is remembered of keys that do not exist. */
  readonly misses: KnownMisses | undefined;

  constructor(misses?: KnownMisses) {
    super((key) => new CopyState<V>(key));
    this.misses = misses;
  }

  override beginWrite(key: string): CopyState<V> {
    this.misses?.delete(key);
    return super.beginWrite(key);
  }
}
