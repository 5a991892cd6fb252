/** So many places may be empty, beside as many as are taken. */
const MAX_HOLES = 32;

/** What the queue has under one key: an item in each stretch, if any. */
export class Slot<T extends object> {
  readonly key: string;
  older: T | undefined = undefined;
  newer: T | undefined = undefined;
  olderAt = 0;
  newerAt = 0;
  /** Whether the key is to be remembered although nothing is queued under it. */
  kept = false;

  constructor(key: string) {
    this.key = key;
  }
}

/** Items that were taken out, in order. */
export interface Run<T extends object> {
  /** Where they were queued: each has a key, and may have got another item since. */
  readonly slots: readonly Slot<T>[];
  readonly items: readonly T[];
}

/**
 * Items in order, found by their keys, in at most two stretches: an older one and, once `split` has
 * closed that, a newer one. New items go to the last stretch. Of each key a stretch has one item at
 * most, so that there are never more than two, however many were put in. What is done to one item
 * costs O(1), counting what it will cost to tidy up after it.
 *
 * Keys can be remembered beyond their items (`keep`): whoever needs to know something of each key
 * that has been through needs no key map beside this one.
 */
export class KeyedQueue<T extends object> {
  #slots = new Map<string, Slot<T>>();
  /** The slots of a stretch in the order of its items; what was taken out of it leaves a hole. */
  #older: (Slot<T> | undefined)[] = [];
  #newer: (Slot<T> | undefined)[] = [];
  #isSplit = false;
  #olderSize = 0;
  #newerSize = 0;
  /** Keys that are in both stretches. */
  #shared = 0;
  /** Where the first item of the older stretch is, at the earliest. */
  #head = 0;
  #kept = 0;

  /** Distinct keys of the items. */
  get size(): number {
    return this.length - this.#shared;
  }

  /** Items. */
  get length(): number {
    return this.#olderSize + this.#newerSize;
  }

  get isSplit(): boolean {
    return this.#isSplit;
  }

  /** Whether a key is in both stretches. */
  get overlaps(): boolean {
    return this.#shared > 0;
  }

  /** The item that has been in it for longest. */
  get first(): T | undefined {
    if (this.#olderSize > 0) {
      while (this.#older[this.#head] === undefined) this.#head++;
      return this.#older[this.#head]?.older;
    }
    return this.#newer.find((slot) => slot !== undefined)?.newer;
  }

  /** What is known of a key. */
  slot(key: string): Slot<T> | undefined {
    return this.#slots.get(key);
  }

  /** The newest item of a key. */
  get(key: string): T | undefined {
    const slot = this.#slots.get(key);
    return slot && (slot.newer ?? slot.older);
  }

  /** The keys of the items in order; those in both stretches twice. */
  *keys(): Generator<string> {
    for (const slot of this.#older) if (slot !== undefined) yield slot.key;
    for (const slot of this.#newer) if (slot !== undefined) yield slot.key;
  }

  /** The items of the older stretch, in order. */
  older(): T[] {
    const items: T[] = [];
    for (const slot of this.#older) if (slot?.older !== undefined) items.push(slot.older);
    return items;
  }

  /** Puts an item into the last stretch: in the place of that of its key, else as the last. */
  put(key: string, item: T): void {
    const slot = this.#slots.get(key) ?? this.#open(key);
    if (this.#isSplit) {
      if (slot.newer === undefined) this.#addNewer(slot);
      slot.newer = item;
    } else {
      if (slot.older === undefined) this.#addOlder(slot);
      slot.older = item;
    }
  }

  /** Puts an item into the last stretch as the last of it; that of its key there goes. Gives the newest that the key had. */
  putLast(key: string, item: T): T | undefined {
    const slot = this.#slots.get(key) ?? this.#open(key);
    const { older, newer } = slot;
    if (this.#isSplit) {
      if (newer !== undefined) this.#removeNewer(slot);
      this.#addNewer(slot);
      slot.newer = item;
    } else {
      if (older !== undefined) this.#removeOlder(slot);
      this.#addOlder(slot);
      slot.older = item;
    }
    return newer ?? older;
  }

  /** Takes a key out of the last stretch. */
  delete(key: string): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    if (this.#isSplit) this.#removeNewer(slot);
    else this.#removeOlder(slot);
    if (isIdle(slot)) this.#slots.delete(key);
  }

  /** Takes a key out of the older stretch. */
  deleteOlder(slot: Slot<T>): void {
    this.#removeOlder(slot);
    if (isIdle(slot)) this.#slots.delete(slot.key);
  }

  /** Closes the stretch that items go to, and begins another; does nothing while there are items in an older one. */
  split(): void {
    if (!this.#isSplit) this.#isSplit = true;
    else if (this.#olderSize === 0) this.#age();
  }

  /** Takes out the newer stretch, after which there is but one. `release` what it gives. */
  takeNewer(): Run<T> {
    this.#isSplit = false;
    const slots = dense(this.#newer, this.#newerSize);
    const items = new Array<T>(slots.length);
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] as Slot<T>;
      items[i] = slot.newer as T;
      slot.newer = undefined;
    }
    this.#newer = [];
    this.#newerSize = 0;
    this.#shared = 0;
    return { slots, items };
  }

  /** Takes out the older stretch; what was put in since `split` is the older one then. `release` what it gives. */
  takeOlder(): Run<T> {
    const slots = dense(this.#older, this.#olderSize);
    const items = new Array<T>(slots.length);
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] as Slot<T>;
      items[i] = slot.older as T;
      slot.older = undefined;
    }
    this.#older = [];
    this.#olderSize = 0;
    this.#head = 0;
    this.#shared = 0;
    this.#age();
    this.#isSplit = false;
    return { slots, items };
  }

  /**
   * Forgets the keys of what was taken, unless they are kept or came again. When nothing else is
   * there they stay at hand as long as they are likely to come again; `forgetIdle` ends that.
   */
  release({ slots }: Run<T>): void {
    if (this.length === 0 && this.#kept === 0) {
      if (this.#slots.size > slots.length + (slots.length >> 1)) this.#slots = new Map();
      return;
    }
    for (const slot of slots) if (isIdle(slot)) this.#slots.delete(slot.key);
  }

  /** Forgets the keys that are neither queued nor kept, where there are no others. */
  forgetIdle(): void {
    if (this.length === 0 && this.#kept === 0 && this.#slots.size > 0) this.#slots = new Map();
  }

  /** Remembers a key, or needs not to any longer. */
  keep(slot: Slot<T>, kept: boolean): void {
    if (slot.kept === kept) return;
    slot.kept = kept;
    this.#kept += kept ? 1 : -1;
  }

  /** As `keep`, of a key that there need not be. */
  keepKey(key: string): void {
    this.keep(this.#slots.get(key) ?? this.#open(key), true);
  }

  /** The keys that are remembered. */
  *keptKeys(): Generator<string> {
    if (this.#kept > 0) for (const { key, kept } of this.#slots.values()) if (kept) yield key;
  }

  /** Drops all items. */
  clear(): void {
    const newer = this.takeNewer();
    const older = this.takeOlder();
    this.release(newer);
    this.release(older);
  }

  #open(key: string): Slot<T> {
    const slot = new Slot<T>(key);
    this.#slots.set(key, slot);
    return slot;
  }

  #addOlder(slot: Slot<T>): void {
    slot.olderAt = this.#older.push(slot) - 1;
    this.#olderSize++;
  }

  #addNewer(slot: Slot<T>): void {
    slot.newerAt = this.#newer.push(slot) - 1;
    this.#newerSize++;
    if (slot.older !== undefined) this.#shared++;
  }

  #removeOlder(slot: Slot<T>): void {
    if (slot.older === undefined) return;
    slot.older = undefined;
    this.#older[slot.olderAt] = undefined;
    this.#olderSize--;
    if (slot.newer !== undefined) this.#shared--;
    if (this.#older.length - this.#olderSize <= this.#olderSize + MAX_HOLES) return;
    this.#older = dense(this.#older, this.#olderSize);
    this.#head = 0;
    for (const [at, other] of this.#older.entries()) (other as Slot<T>).olderAt = at;
  }

  #removeNewer(slot: Slot<T>): void {
    if (slot.newer === undefined) return;
    slot.newer = undefined;
    this.#newer[slot.newerAt] = undefined;
    this.#newerSize--;
    if (slot.older !== undefined) this.#shared--;
    if (this.#newer.length - this.#newerSize <= this.#newerSize + MAX_HOLES) return;
    this.#newer = dense(this.#newer, this.#newerSize);
    for (const [at, other] of this.#newer.entries()) (other as Slot<T>).newerAt = at;
  }

  /** Makes the newer stretch the older one, of which nothing is left. */
  #age(): void {
    this.#older = this.#newer;
    this.#olderSize = this.#newerSize;
    this.#head = 0;
    this.#newer = [];
    this.#newerSize = 0;
    for (const slot of this.#older) {
      if (slot === undefined) continue;
      slot.older = slot.newer;
      slot.olderAt = slot.newerAt;
      slot.newer = undefined;
    }
  }
}

function isIdle<T extends object>({ older, newer, kept }: Slot<T>): boolean {
  return older === undefined && newer === undefined && !kept;
}

/** The slots without the holes. */
function dense<T extends object>(slots: (Slot<T> | undefined)[], size: number): Slot<T>[] {
  if (slots.length === size) return slots as Slot<T>[];
  return slots.filter((slot) => slot !== undefined);
}
