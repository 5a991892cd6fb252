import type { Link, LinkReader, Visited } from './link-reader.ts';

/** How much a walk does at once, and what it has met. */
export interface WalkState<V> {
  readonly reader: LinkReader<V>;
  /** Every key met so far; what is in it is not visited again. */
  readonly seen: Set<string>;
  /** Batches under way at once. */
  readonly concurrency: number;
  /** Keys of a batch. */
  readonly batchKeys: number;
}

/**
 * Visits what is reachable, nearest first. The order is that of a queue, whatever the batches and
 * however late their answers: batches are cut from its head, and handled in the order they were cut.
 * Holds at most `concurrency` batches of entries, and the keys that wait.
 */
export async function* breadthFirst<V>(
  { reader, seen, concurrency, batchKeys }: WalkState<V>,
  links: Iterable<Link>,
): AsyncGenerator<Visited<V>> {
  const waiting = new LinkQueue(seen);
  waiting.add(links);
  const underWay: Promise<Visited<V>[]>[] = [];
  for (;;) {
    while (underWay.length < concurrency && waiting.size > 0) {
      const batch = reader.visit(waiting.take(batchKeys));
      // Its failure is told when its turn comes, which may be later than the failure itself.
      batch.catch(() => {});
      underWay.push(batch);
    }
    const batch = underWay.shift();
    if (batch === undefined) return;
    const visited = await batch;
    for (const { key, links } of visited)
      waiting.add(links.map((link) => ({ key: link, from: key })));
    yield* visited;
  }
}

/** Links to keys that were not met before, first in first out. */
class LinkQueue {
  readonly #seen: Set<string>;
  #links: Link[] = [];
  #at = 0;

  constructor(seen: Set<string>) {
    this.#seen = seen;
  }

  get size(): number {
    return this.#links.length - this.#at;
  }

  add(links: Iterable<Link>): void {
    for (const link of links) {
      if (this.#seen.has(link.key)) continue;
      this.#seen.add(link.key);
      this.#links.push(link);
    }
  }

  take(count: number): Link[] {
    const taken = this.#links.slice(this.#at, this.#at + count);
    this.#at += taken.length;
    // What was taken is let go of once it is the greater part.
    if (this.#at * 2 > this.#links.length) {
      this.#links = this.#links.slice(this.#at);
      this.#at = 0;
    }
    return taken;
  }
}
