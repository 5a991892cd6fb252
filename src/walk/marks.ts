import type { Entry } from '../store/entry.ts';
import { failure } from '../store/errors.ts';
import { FIRST_USER_KEY } from '../store/keys.ts';
import { managedIterable } from '../store/managed-iterable.ts';
import type { Feed, FeedPage, Position } from '../store/primitives.ts';
import { breadthFirst, type WalkState } from './breadth-first.ts';
import { feedState } from './feed-state.ts';
import { type Link, type LinkReader, type LinkReaderInit, missingEntry } from './link-reader.ts';
import type { Roots } from './options.ts';
import { askRoots } from './roots.ts';
import { isRootsOnly } from './walker.ts';

/** So often what was read is checked against what was written meanwhile. */
const MAX_ROUNDS = 100;

/** What marking needs. */
export interface MarksInit<V> extends LinkReaderInit<V> {
  readonly roots: Roots;
  readonly concurrency: number;
  readonly batchKeys: number;
  /** What was written outside of it counts only where it is marked. */
  readonly prefix: string;
  /** With where the sweep began; absent where the store has none. */
  readonly feed: { readonly source: Feed<V>; readonly from: Position } | undefined;
  /** Copies a value on its way to the walker, where the store shares references. */
  readonly guard: ((value: V) => V) | undefined;
  readonly onMissing: ((key: string, from: string | undefined) => void) | undefined;
}

/**
 * What stays: the keys that are reachable, and those that something written meanwhile, kept or too
 * young points to. It only grows. After `catchUp`, it holds all that is reachable at some moment
 * since the call: every entry on every path was shown to the walker as it was at that moment.
 */
export class Marks<V> {
  readonly #init: MarksInit<V>;
  readonly #reader: LinkReader<V>;
  readonly #keys = new Set<string>();
  readonly #written = new Set<string>();
  /** Roots, with the version last shown to the walker; `undefined` while none was. */
  readonly #roots = new Map<string, string | undefined>();
  #at: Position | undefined;

  constructor(reader: LinkReader<V>, init: MarksInit<V>) {
    this.#init = init;
    this.#reader = reader;
    this.#at = init.feed?.from;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Whether any roots were given so far. */
  get hasRoots(): boolean {
    return this.#roots.size > 0;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Whether a marked key is marked for having been written during the sweep. */
  wasWritten(key: string): boolean {
    return this.#written.has(key);
  }

  /** Marks everything that is reachable from the roots as they are now. */
  async markRoots(): Promise<void> {
    await this.#markNewRoots(await this.#askNewRoots());
  }

  /** Marks an entry, with what it points to. */
  async keep(entry: Entry<V>): Promise<void> {
    this.#keys.add(entry.key);
    await this.protect(entry);
  }

  /** Marks what an entry points to, and what these do; not the entry itself. */
  async protect(entry: Entry<V>): Promise<number> {
    const isRoot = this.#roots.has(entry.key);
    if (isRoot) this.#roots.set(entry.key, entry.version);
    const links = await this.#reader.linksOf(entry, isRoot);
    // What is missing here is no damage: nobody reaches it yet, or somebody is at work.
    return this.#mark(
      links.map((key) => ({ key, from: entry.key })),
      () => {},
    );
  }

  /** Takes in all that has changed. Errors: `overloaded` when roots come faster than they are read. */
  async catchUp(): Promise<void> {
    const { feed, operation } = this.#init;
    for (let rounds = 0; rounds < MAX_ROUNDS; rounds++) {
      const roots = await this.#askNewRoots();
      if (feed === undefined) {
        await this.#markNewRoots(roots);
        return this.#walkChangedRoots();
      }
      const followed = await this.#followFeed(feed.source);
      const visited = await this.#markNewRoots(roots);
      // What was read from the store may be newer than the feed that was read before it.
      if (followed + visited === 0) return;
    }
    throw failure('overloaded', operation, 'new roots come faster than they can be read');
  }

  async #askNewRoots(): Promise<Link[]> {
    const links = await askRoots(this.#init.roots, this.#init);
    const added = links.filter(({ key }) => !this.#roots.has(key));
    for (const { key } of added) this.#roots.set(key, undefined);
    return added;
  }

  /** Resolves with how many entries were read for it. */
  #markNewRoots(roots: readonly Link[]): Promise<number> {
    const { walker, operation, onMissing } = this.#init;
    const unknown = (key: string): boolean =>
      // Marked as something that others point to, it was not yet shown to a walker that looks at roots only.
      !this.#keys.has(key) || (isRootsOnly(walker) && this.#roots.get(key) === undefined);
    const links = roots.filter(({ key }) => unknown(key));
    for (const { key } of links) this.#keys.delete(key);
    return this.#mark(links, (key, from) => {
      if (onMissing === undefined) throw missingEntry(operation, key, from);
      onMissing(key, from);
    });
  }

  /**
   * Marks what was written up to now points to; resolves with how many entries were read for it. Up
   * to now and no further: writers may be faster than their feed is read.
   */
  async #followFeed(feed: Feed<V>): Promise<number> {
    const { head } = await feedState(feed, this.#init);
    let visited = 0;
    while (this.#at === undefined || this.#at.rev < head.rev) {
      let end: Position | undefined;
      for await (const page of this.#pages(feed)) {
        visited += await this.#take(page);
        end = page.end;
      }
      if (end === undefined) return visited;
      this.#at = end;
    }
    return visited;
  }

  async #take({ changes }: FeedPage<V>): Promise<number> {
    const { prefix, guard } = this.#init;
    const entries: Entry<V>[] = [];
    for (const change of changes) {
      const { key } = change;
      if (change.type === 'delete') continue;
      if (!this.#keys.has(key)) {
        if (key < FIRST_USER_KEY) continue;
        if (!key.startsWith(prefix) && !this.#roots.has(key)) continue;
        this.#keys.add(key);
        this.#written.add(key);
      }
      entries.push(guard === undefined ? change : { ...change, value: guard(change.value) });
    }
    let visited = 0;
    for (const entry of entries) visited += await this.protect(entry);
    return visited;
  }

  /** One commit after the position, in pages, each bounded in time. */
  #pages(feed: Feed<V>): AsyncIterable<FeedPage<V>> {
    const { env, operation, signal, timeoutMs } = this.#init;
    const after = this.#at;
    return managedIterable<FeedPage<V>>({
      env,
      operation,
      bounds: { signal, timeoutMs },
      defaultTimeoutMs: timeoutMs,
      running: new Set(),
      checkOpen: () => undefined,
      async *source(call) {
        for await (const page of feed.read(after, call)) yield [page];
      },
      give: (page) => page,
    });
  }

  /** Without a feed: reads the roots again, and walks from those that are no longer what they were. */
  async #walkChangedRoots(): Promise<void> {
    const { store, signal, timeoutMs, batchKeys } = this.#init;
    const keys = [...this.#roots.keys()];
    for (let at = 0; at < keys.length; at += batchKeys) {
      const batch = keys.slice(at, at + batchKeys);
      const entries = await store.getEntries(batch, { signal, timeoutMs, fresh: true });
      for (const entry of entries.values())
        if (this.#roots.get(entry.key) !== entry.version) await this.protect(entry);
    }
  }

  /** Marks what is reachable over these links; resolves with how many keys were visited. */
  async #mark(
    links: readonly Link[],
    onMissing: (key: string, from: string | undefined) => void,
  ): Promise<number> {
    const { concurrency, batchKeys } = this.#init;
    const state: WalkState<V> = { reader: this.#reader, seen: this.#keys, concurrency, batchKeys };
    let visited = 0;
    for await (const { key, from, entry } of breadthFirst(state, links)) {
      visited++;
      if (entry === undefined) onMissing(key, from);
      else if (from === undefined) this.#roots.set(key, entry.version);
    }
    return visited;
  }
}
