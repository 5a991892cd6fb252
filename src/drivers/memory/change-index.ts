import { sameValue } from '../../store/clone.ts';
import type { Entry, EntryHead } from '../../store/entry.ts';
import type { Standing } from '../../store/feed/plan.ts';
import type { SetWrite } from '../../store/primitives.ts';
import type { SetHeads } from './set-heads.ts';

/** Counted for each remembered delete beside its key. */
const TOMBSTONE_OVERHEAD_BYTES = 96;

/**
 * What is known of a key; its content never changes once linked, so that a reader may hold it.
 * Value and expiry stand on the node itself: a hit touches nothing else.
 */
export class Node<V> implements Standing<V> {
  readonly key: string;
  readonly rev: number;
  readonly pos: number;
  readonly value: V | undefined;
  readonly expiresAt: number | undefined;
  previous: Node<V> | undefined = undefined;
  next: Node<V> | undefined = undefined;
  linked = false;
  /** Set while this is a tombstone that may be forgotten. */
  grave: Grave<V> | undefined = undefined;
  /** The head, or what it is to be made of; absent for a tombstone. */
  #head: EntryHead | SetWrite<V> | undefined;
  /** Makes the head, until it has. */
  #heads: SetHeads | undefined;

  constructor(
    key: string,
    rev: number,
    pos: number,
    head: EntryHead | SetWrite<V> | undefined,
    value: V | undefined,
    heads: SetHeads | undefined,
  ) {
    this.key = key;
    this.rev = rev;
    this.pos = pos;
    this.value = value;
    this.expiresAt = head?.expiresAt;
    this.#head = head;
    this.#heads = heads;
  }

  /** Absent for a tombstone. */
  get live(): EntryHead | undefined {
    if (this.#heads !== undefined) {
      this.#head = this.#heads.make(this.#head as SetWrite<V>, this.pos);
      this.#heads = undefined;
    }
    return this.#head as EntryHead | undefined;
  }

  /** Whether there is a head, without making it. */
  get isLive(): boolean {
    return this.#head !== undefined;
  }

  get isImmutable(): boolean {
    return this.#head?.immutable === true;
  }

  sameValue(value: V): boolean {
    return sameValue(this.value, value);
  }

  /** The entry of a live node. */
  toEntry(): Entry<V> {
    return { ...(this.live as EntryHead), value: this.value as V };
  }

  isExpired(nowMs: number): boolean {
    return this.expiresAt !== undefined && this.expiresAt <= nowMs;
  }
}

/**
 * A tombstone in the order of being forgotten. It lets go of a node that was replaced, whose
 * `previous` would keep a chain of old values alive.
 */
interface Grave<V> {
  node: Node<V> | undefined;
  readonly bytes: number;
  readonly madeMs: number;
}

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

  /** Links a node at the end, in place of the key's former one. */
  put(node: Node<V>, former: Node<V> | undefined, nowMs: number): void {
    if (former !== undefined) this.#unlink(former);
    node.previous = this.#newest;
    node.linked = true;
    if (this.#newest === undefined) this.#oldest = node;
    else this.#newest.next = node;
    this.#newest = node;
    this.#nodes.set(node.key, node);
    if (!node.isLive) this.#remember(node, nowMs);
  }

  /** Puts a tombstone where an expired node stands. */
  bury(node: Node<V>, nowMs: number): void {
    const tombstone = new Node<V>(node.key, node.rev, node.pos, undefined, undefined, undefined);
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

  #remember(tombstone: Node<V>, nowMs: number): void {
    const bytes = TOMBSTONE_OVERHEAD_BYTES + tombstone.key.length;
    tombstone.grave = { node: tombstone, bytes, madeMs: nowMs };
    this.#graves.push(tombstone.grave);
    this.#gravesBytes += bytes;
    const oldest = this.#graves[0] as Grave<V>;
    if (this.#gravesBytes > this.#tombstoneBytes || oldest.madeMs <= nowMs - this.#tombstoneMs)
      this.forget(nowMs);
  }

  /** Takes a node out; it keeps its `previous`, by which a reader that holds it finds its way back. */
  #unlink(node: Node<V>): void {
    node.linked = false;
    if (node.grave !== undefined) node.grave.node = undefined;
    if (node.previous === undefined) this.#oldest = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#newest = node.previous;
    else node.next.previous = node.previous;
  }
}
