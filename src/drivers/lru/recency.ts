import { LRUCache } from 'lru-cache';

/**
 * Keys in the order of their last use, each with a weight. This file alone names the library, and
 * the build puts the library's code into it: so it must import nothing else, and show nothing of it.
 */
export class Recency {
  /** Bounded by who uses it: the library's own bound of entries would take memory for all of them at once. */
  readonly #keys = new LRUCache<string, string>({ maxSize: Number.MAX_SAFE_INTEGER });

  get size(): number {
    return this.#keys.size;
  }

  /** The sum of all weights. */
  get weight(): number {
    return this.#keys.calculatedSize;
  }

  /** Adds a key as the one used last, or gives it another weight: a whole number of at least 1. */
  add(key: string, weight: number): void {
    // Setting the value that is there would leave its weight as it was.
    this.#keys.delete(key);
    this.#keys.set(key, key, { size: weight });
  }

  /** Makes a key the one used last; another changes nothing. */
  use(key: string): void {
    this.#keys.get(key);
  }

  delete(key: string): void {
    this.#keys.delete(key);
  }

  /** Takes out the key that has not been used for longest. */
  takeOldest(): string | undefined {
    return this.#keys.pop();
  }

  clear(): void {
    this.#keys.clear();
  }
}
