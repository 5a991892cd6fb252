import { type Grave, type Node, Tombstone } from './nodes.ts';

/** Counted for each remembered delete beside its key. */
const TOMBSTONE_OVERHEAD_BYTES = 96;

/**
 * The compacted change index: one node a key, tombstones included, found by key and linked in the
 * order of (rev, pos). Tombstones are bounded by age and bytes; what was forgotten raises the floor.
 */
export class ChangeIndex<V> {
  readonly #nodes = new Map<string, Node<V>>();
  readonly #tombstoneMs: number;
  readonly #tombstoneBytes: number;
  /** Oldest first. */
  #graves: Grave<V>[] = [];
  #gravesBytes = 0;
  #oldest: Node<V> | undefined;
  #newest: Node<V> | undefined;
  #floor = 0;

  constructor(tombstoneMs: number, tombstoneBytes: number) {
    this.#tombstoneMs = tombstoneMs;
    this.#tombstoneBytes = tombstoneBytes;
  }

  /** Readers from below this revision may lack a delete. */
  get floor(): number {
    return this.#floor;
  }

  get(key: string): Node<V> | undefined {
    return this.#nodes.get(key);
  }

  /** The last node of at most this revision. */
  lastUpTo(rev: number): Node<V> | undefined {
    let node = this.#newest;
    while (node !== undefined && node.rev > rev) node = node.previous;
    return node;
  }

  /** The node after one that may have been taken out meanwhile. */
  following(node: Node<V> | undefined): Node<V> | undefined {
    let at = node;
    while (at !== undefined && !at.linked) at = at.previous;
    return at === undefined ? this.#oldest : at.next;
  }

  /** Whether nothing is known of any key. */
  get isEmpty(): boolean {
    return this.#newest === undefined;
  }

  /** Links a node at the end, in place of the key's former one. */
  put(node: Node<V>, former: Node<V> | undefined, nowMs: number): void {
    if (former !== undefined) this.#unlink(former);
    this.#link(node);
    this.#nodes.set(node.key, node);
    if (node instanceof Tombstone) this.#remember(node, nowMs);
  }

  /**
   * Links a live node at the end, without a look at what stands under its key, where that will be
   * nothing; if it is not, gives the former one, which takes long to find.
   */
  putNew(node: Node<V>): Node<V> | undefined {
    const { size } = this.#nodes;
    this.#nodes.set(node.key, node);
    let former: Node<V> | undefined;
    if (this.#nodes.size === size) {
      former = this.#newest;
      while (former !== undefined && former.key !== node.key) former = former.previous;
      if (former !== undefined) this.#unlink(former);
    }
    this.#link(node);
    return former;
  }

  /** Puts a tombstone where an expired node stands. */
  bury(node: Node<V>, nowMs: number): void {
    const tombstone = new Tombstone<V>(node.key, node.rev, node.pos);
    tombstone.linked = true;
    tombstone.previous = node.previous;
    tombstone.next = node.next;
    node.linked = false;
    if (node.previous === undefined) this.#oldest = tombstone;
    else node.previous.next = tombstone;
    if (node.next === undefined) this.#newest = tombstone;
    else node.next.previous = tombstone;
    this.#nodes.set(node.key, tombstone);
    this.#remember(tombstone, nowMs);
  }

  /** Forgets the oldest deletes; a reader from before them can then not go on. */
  forget(nowMs: number): void {
    const keepSinceMs = nowMs - this.#tombstoneMs;
    // Well below the bound, so that the next deletes do not each come here.
    const keepBytes =
      this.#gravesBytes > this.#tombstoneBytes ? this.#tombstoneBytes * 0.75 : this.#tombstoneBytes;
    let forgotten = 0;
    for (const { node, bytes, madeMs } of this.#graves) {
      if (node !== undefined && this.#gravesBytes <= keepBytes && madeMs > keepSinceMs) break;
      forgotten++;
      this.#gravesBytes -= bytes;
      if (node === undefined) continue;
      this.#unlink(node);
      this.#nodes.delete(node.key);
      this.#floor = Math.max(this.#floor, node.rev);
    }
    this.#graves = this.#graves.slice(forgotten);
  }

  clear(): void {
    this.#nodes.clear();
    this.#graves = [];
    this.#oldest = undefined;
    this.#newest = undefined;
  }

  #remember(tombstone: Tombstone<V>, nowMs: number): void {
    const bytes = TOMBSTONE_OVERHEAD_BYTES + tombstone.key.length;
    tombstone.grave = { node: tombstone, bytes, madeMs: nowMs };
    this.#graves.push(tombstone.grave);
    this.#gravesBytes += bytes;
    const oldest = this.#graves[0] as Grave<V>;
    if (this.#gravesBytes > this.#tombstoneBytes || oldest.madeMs <= nowMs - this.#tombstoneMs)
      this.forget(nowMs);
  }

  #link(node: Node<V>): void {
    node.previous = this.#newest;
    node.linked = true;
    if (this.#newest === undefined) this.#oldest = node;
    else this.#newest.next = node;
    this.#newest = node;
  }

  /** Takes a node out; it keeps its `previous`, by which a reader that holds it finds its way back. */
  #unlink(node: Node<V>): void {
    node.linked = false;
    if (node instanceof Tombstone && node.grave !== undefined) node.grave.node = undefined;
    if (node.previous === undefined) this.#oldest = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#newest = node.previous;
    else node.next.previous = node.previous;
  }
}
