import type { Entry } from '../../store/entry.ts';
import { compareKeys } from '../../store/keys.ts';

/** A key, and what each of several stores has under it. */
export interface Joined<V> {
  readonly key: string;
  readonly found: readonly (Entry<V> | undefined)[];
}

/**
 * The entries of several stores, each key once, in key order. Holds a page of each. The failure of
 * one ends it: what is missing is never taken for absent.
 */
export async function* joinEntries<V>(
  sources: readonly AsyncIterable<readonly Entry<V>[]>[],
): AsyncGenerator<Joined<V>[]> {
  const readers = sources.map((source) => new Reader(source));
  try {
    for (;;) {
      await Promise.all(readers.map((reader) => reader.fill()));
      if (readers.every((reader) => reader.ended)) return;
      const joined: Joined<V>[] = [];
      while (readers.every((reader) => reader.ready) && !readers.every((reader) => reader.ended))
        joined.push(next(readers));
      yield joined;
    }
  } finally {
    for (const reader of readers) reader.stop();
  }
}

function next<V>(readers: readonly Reader<V>[]): Joined<V> {
  let key: string | undefined;
  for (const { head } of readers)
    if (head !== undefined && (key === undefined || compareKeys(head.key, key) < 0)) key = head.key;
  const least = key as string;
  return { key: least, found: readers.map((reader) => reader.takeIf(least)) };
}

class Reader<V> {
  ended = false;
  readonly #pages: AsyncIterator<readonly Entry<V>[]>;
  #page: readonly Entry<V>[] = [];
  #at = 0;

  constructor(source: AsyncIterable<readonly Entry<V>[]>) {
    this.#pages = source[Symbol.asyncIterator]();
  }

  /** Whether the next entry, or that there is none, is known. */
  get ready(): boolean {
    return this.ended || this.#at < this.#page.length;
  }

  get head(): Entry<V> | undefined {
    return this.#page[this.#at];
  }

  takeIf(key: string): Entry<V> | undefined {
    const { head } = this;
    if (head?.key !== key) return undefined;
    this.#at++;
    return head;
  }

  async fill(): Promise<void> {
    while (!this.ready) {
      const step = await this.#pages.next();
      this.ended = step.done === true;
      this.#page = step.done === true ? [] : step.value;
      this.#at = 0;
    }
  }

  stop(): void {
    if (!this.ended) this.#pages.return?.()?.then(undefined, () => {});
  }
}
