import type { WalkState } from './breadth-first.ts';
import type { Link, LinkReader, Visited } from './link-reader.ts';

/** Entries read before their turn, in batches: bounded, and forgotten oldest first. */
export class ReadAhead<V> {
  readonly #reader: LinkReader<V>;
  readonly #concurrency: number;
  readonly #batchKeys: number;
  readonly #most: number;
  readonly #entries = new Map<string, Promise<Visited<V>>>();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor({ reader, concurrency, batchKeys }: WalkState<V>) {
    this.#reader = reader;
    this.#concurrency = concurrency;
    this.#batchKeys = batchKeys;
    this.#most = concurrency * batchKeys;
  }

  /** One entry: the one read ahead, else read now, together with what is likely to be asked next. */
  async read(link: Link, likely: () => Iterable<Link>): Promise<Visited<V>> {
    if (!this.#entries.has(link.key)) await this.#fetch(link, likely());
    const visited = this.#entries.get(link.key);
    this.#entries.delete(link.key);
    // Who asks is who points to it, whoever had it read ahead.
    return { ...((await visited) as Visited<V>), from: link.from };
  }

  /** Starts as many batches as may be under way. */
  async #fetch(link: Link, likely: Iterable<Link>): Promise<void> {
    while (this.#underWay.size >= this.#concurrency) await Promise.race(this.#underWay);
    const free = this.#concurrency - this.#underWay.size;
    const wanted = new Map([[link.key, link]]);
    // No further than there is room: what lies beyond would only drive out what is nearer.
    let near = 1;
    for (const next of likely) {
      if (++near > this.#most || wanted.size >= free * this.#batchKeys) break;
      if (!this.#entries.has(next.key)) wanted.set(next.key, next);
    }
    const links = [...wanted.values()];
    this.#makeRoom(links.length);
    for (let at = 0; at < links.length; at += this.#batchKeys)
      this.#start(links.slice(at, at + this.#batchKeys));
  }

  #start(links: readonly Link[]): void {
    const batch = this.#reader.visit(links);
    const settled: Promise<unknown> = batch.then(
      () => this.#underWay.delete(settled),
      // Told to whoever asks for an entry of the batch.
      () => this.#underWay.delete(settled),
    );
    this.#underWay.add(settled);
    for (const [at, { key }] of links.entries()) {
      const visited = batch.then((all) => all[at] as Visited<V>);
      visited.catch(() => {});
      this.#entries.set(key, visited);
    }
  }

  #makeRoom(count: number): void {
    for (const key of this.#entries.keys()) {
      if (this.#entries.size + count <= this.#most) return;
      this.#entries.delete(key);
    }
  }
}
