import { afterPrefix, compareKeys } from '../../store/keys.ts';

/** So many changes are brought in one by one; more by one pass over all keys. */
const MAX_SPLICES = 64;

/** Which places of the index a prefix takes: from `start`, up to but without `end`. */
export interface KeySpan {
  readonly start: number;
  readonly end: number;
}

/** All keys of the store in its order, each at a place: what a list that shows a window needs. */
export class KeyIndex {
  #keys: string[] = [];

  get size(): number {
    return this.#keys.length;
  }

  at(place: number): string | undefined {
    return this.#keys[place];
  }

  /** Takes keys that are in order already, instead of what is there. */
  load(keys: readonly string[]): void {
    this.#keys = [...keys];
  }

  /** Brings changes in: which keys exist now, and which no longer. Says whether anything moved. */
  apply(changes: ReadonlyMap<string, boolean>): boolean {
    return changes.size <= MAX_SPLICES ? this.#splice(changes) : this.#merge(changes);
  }

  has(key: string): boolean {
    return this.#keys[this.placeOf(key)] === key;
  }

  /** The place of a key, or where it would be. */
  placeOf(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#keys[middle] as string, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  span(prefix: string): KeySpan {
    if (prefix === '') return { start: 0, end: this.#keys.length };
    const beyond = afterPrefix(prefix);
    return {
      start: this.placeOf(prefix),
      end: beyond === undefined ? this.#keys.length : this.placeOf(beyond),
    };
  }

  #splice(changes: ReadonlyMap<string, boolean>): boolean {
    let moved = false;
    for (const [key, exists] of changes) {
      const place = this.placeOf(key);
      const found = this.#keys[place] === key;
      if (found === exists) continue;
      if (exists) this.#keys.splice(place, 0, key);
      else this.#keys.splice(place, 1);
      moved = true;
    }
    return moved;
  }

  #merge(changes: ReadonlyMap<string, boolean>): boolean {
    const added = [...changes.keys()].filter((key) => changes.get(key) === true);
    added.sort(compareKeys);
    const before = this.#keys;
    const after: string[] = [];
    let next = 0;
    for (const key of before) {
      for (; next < added.length; next++) {
        const candidate = added[next] as string;
        const order = compareKeys(candidate, key);
        if (order > 0) break;
        if (order < 0) after.push(candidate);
      }
      if (changes.get(key) !== false) after.push(key);
    }
    for (; next < added.length; next++) after.push(added[next] as string);
    this.#keys = after;
    return after.length !== before.length || after.some((key, place) => key !== before[place]);
  }
}
