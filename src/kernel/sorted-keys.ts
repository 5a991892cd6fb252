import { compareKeys, type KeyRange } from '../store/keys.ts';

/** A chunk is split when it grows past this. */
const MAX_CHUNK = 512;
/** So many new keys are inserted one by one; more are sorted and merged. */
const MAX_INSERTS = 64;

/**
 * Keys in byte order, for engines whose own structures have no order. Adding is O(1): new keys
 * wait unsorted until somebody asks for order. Kept as sorted chunks, so that an insertion moves
 * at most one chunk.
 */
export class SortedKeys {
  #chunks: string[][] = [];
  /** Keys that wait, as a list until one of them is removed: most never are. */
  #added: string[] | Set<string> = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a key that is not in it. */
  add(key: string): void {
    if (Array.isArray(this.#added)) this.#added.push(key);
    else this.#added.add(key);
    this.#size++;
  }

  /** Removes a key that is in it. */
  delete(key: string): void {
    this.#size--;
    if (this.#takeBack(key)) return;
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at];
    if (chunk === undefined) return;
    const i = lowerBound(chunk, key);
    if (chunk[i] !== key) return;
    chunk.splice(i, 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** Up to `count` keys of the range in its order, beyond `after` where given. */
  page(
    range: Pick<KeyRange, 'lower' | 'upper' | 'reverse'>,
    after: string | undefined,
    count: number,
  ): string[] {
    this.#settle();
    const { lower, upper, reverse } = range;
    const [near, far] = reverse ? [upper, lower] : [lower, upper];
    const step = reverse ? -1 : 1;
    const found: string[] = [];
    let [at, i] = this.#seek(after ?? near?.key, after === undefined && near?.inclusive, reverse);
    for (;;) {
      const chunk = this.#chunks[at];
      if (chunk === undefined) return found;
      for (; i >= 0 && i < chunk.length; i += step) {
        const key = chunk[i] as string;
        if (far !== undefined) {
          const order = compareKeys(key, far.key) * step;
          if (order > 0 || (order === 0 && !far.inclusive)) return found;
        }
        if (found.push(key) >= count) return found;
      }
      at += step;
      i = reverse ? (this.#chunks[at]?.length ?? 0) - 1 : 0;
    }
  }

  clear(): void {
    this.#chunks = [];
    this.#added = [];
    this.#size = 0;
  }

  /** The chunk and the place in it from which to go on, upwards or downwards; it may lie just outside. */
  #seek(
    start: string | undefined,
    inclusive: boolean | undefined,
    down: boolean,
  ): [number, number] {
    const last = this.#chunks.length - 1;
    if (start === undefined) return down ? [last, (this.#chunks[last]?.length ?? 0) - 1] : [0, 0];
    const at = Math.min(this.#chunkOf(start), last);
    const chunk = this.#chunks[at] ?? [];
    const i = lowerBound(chunk, start);
    const isStart = chunk[i] === start;
    if (down) return [at, isStart && inclusive ? i : i - 1];
    return [at, isStart && !inclusive ? i + 1 : i];
  }

  /** The first chunk whose last key is not below `key`; the number of chunks when there is none. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = this.#chunks[middle] as string[];
      if (compareKeys(chunk[chunk.length - 1] as string, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Removes a key that still waits; false for any other. */
  #takeBack(key: string): boolean {
    if (Array.isArray(this.#added)) {
      if (this.#added.length === 0) return false;
      this.#added = new Set(this.#added);
    }
    return this.#added.delete(key);
  }

  /** Brings waiting keys into order. */
  #settle(): void {
    const added = Array.isArray(this.#added) ? this.#added : [...this.#added];
    if (added.length === 0) return;
    this.#added = [];
    if (added.length <= MAX_INSERTS) for (const key of added) this.#insert(key);
    else this.#merge(added.sort(compareKeys));
  }

  #insert(key: string): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push([key]);
      return;
    }
    const at = Math.min(this.#chunkOf(key), this.#chunks.length - 1);
    const chunk = this.#chunks[at] as string[];
    chunk.splice(lowerBound(chunk, key), 0, key);
    if (chunk.length > MAX_CHUNK)
      this.#chunks.splice(at, 1, chunk.slice(0, MAX_CHUNK / 2), chunk.slice(MAX_CHUNK / 2));
  }

  #merge(added: readonly string[]): void {
    const chunks: string[][] = [];
    let chunk: string[] = [];
    const push = (key: string): void => {
      if (chunk.length === 0 || chunk.length >= MAX_CHUNK / 2) {
        chunk = [];
        chunks.push(chunk);
      }
      chunk.push(key);
    };
    let next = 0;
    for (const old of this.#chunks) {
      for (const key of old) {
        while (next < added.length && compareKeys(added[next] as string, key) < 0)
          push(added[next++] as string);
        push(key);
      }
    }
    while (next < added.length) push(added[next++] as string);
    this.#chunks = chunks;
  }
}

/** Index of the first key that is not below `key`. */
function lowerBound(chunk: readonly string[], key: string): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(chunk[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
