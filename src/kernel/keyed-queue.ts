/**
 * Items in order, found by their keys, in at most two stretches: an older one and, once `split` has
 * closed that, a newer one. New items go to the last stretch. Of each key a stretch has one item at
 * most, so that there are never more than two, however many were put in. Everything that is done to
 * one item costs O(1).
 */
export class KeyedQueue<T> {
  #older = new Map<string, T>();
  /** Present from `split` on. */
  #newer: Map<string, T> | undefined;
  /** Keys that are in both stretches. */
  #shared = 0;

  /** Distinct keys. */
  get size(): number {
    return this.length - this.#shared;
  }

  /** Items. */
  get length(): number {
    return this.#older.size + (this.#newer === undefined ? 0 : this.#newer.size);
  }

  get isSplit(): boolean {
    return this.#newer !== undefined;
  }

  /** Whether a key is in both stretches. */
  get overlaps(): boolean {
    return this.#shared > 0;
  }

  /** The older stretch: everything where there is but one. Not to be kept beyond the next change. */
  get older(): ReadonlyMap<string, T> {
    return this.#older;
  }

  /** What was put in since `split`; `undefined` where there is but one stretch. */
  get newer(): ReadonlyMap<string, T> | undefined {
    return this.#newer;
  }

  /** The item that has been in it for longest. */
  get first(): T | undefined {
    for (const item of this.#older.values()) return item;
    for (const item of this.#newer?.values() ?? []) return item;
    return undefined;
  }

  /** The keys in order; those in both stretches twice. */
  *keys(): Generator<string> {
    yield* this.#older.keys();
    if (this.#newer !== undefined) yield* this.#newer.keys();
  }

  /** The newest item of a key. */
  get(key: string): T | undefined {
    return this.#newer?.get(key) ?? this.#older.get(key);
  }

  /** Puts an item into the last stretch: in the place of that of its key, else as the last. */
  put(key: string, item: T): void {
    const newer = this.#newer;
    if (newer === undefined) {
      this.#older.set(key, item);
      return;
    }
    const { size } = newer;
    newer.set(key, item);
    if (newer.size > size && this.#older.has(key)) this.#shared++;
  }

  /** Puts an item into the last stretch as the last of it; that of its key there goes. */
  putLast(key: string, item: T): void {
    this.delete(key);
    this.put(key, item);
  }

  /** Takes a key out of the last stretch. */
  delete(key: string): void {
    const newer = this.#newer;
    if (newer === undefined) this.#older.delete(key);
    else if (newer.delete(key) && this.#older.has(key)) this.#shared--;
  }

  /** Takes a key out of the older stretch. */
  deleteOlder(key: string): void {
    if (this.#older.delete(key) && this.#newer?.has(key) === true) this.#shared--;
  }

  /** Closes the stretch that items go to, and begins another; does nothing while there are items in an older one. */
  split(): void {
    if (this.#newer !== undefined) {
      if (this.#older.size > 0) return;
      this.#older = this.#newer;
    }
    this.#newer = new Map();
  }

  /** Takes out the newer stretch, after which there is but one. */
  takeNewer(): ReadonlyMap<string, T> | undefined {
    const newer = this.#newer;
    this.#newer = undefined;
    this.#shared = 0;
    return newer;
  }

  /** Takes out the older stretch; the newer one, if any, is the only one then. */
  takeOlder(): KeyedQueue<T> {
    const taken = new KeyedQueue<T>();
    taken.#older = this.#older;
    this.#older = this.#newer ?? new Map();
    this.#newer = undefined;
    this.#shared = 0;
    return taken;
  }

  /** Takes out everything. */
  take(): KeyedQueue<T> {
    const taken = new KeyedQueue<T>();
    taken.#older = this.#older;
    taken.#newer = this.#newer;
    taken.#shared = this.#shared;
    this.clear();
    return taken;
  }

  clear(): void {
    this.#older = new Map();
    this.#newer = undefined;
    this.#shared = 0;
  }
}
