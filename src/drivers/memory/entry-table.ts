import type { Env } from '../../store/env.ts';
import type { KeyRange } from '../../store/keys.ts';
import { ChangeIndex } from './change-index.ts';
import type { Node } from './nodes.ts';
import { OrderedKeys } from './ordered-keys.ts';

const PAGE = 256;
const DAY_MS = 86_400_000;

/** How many deletes are remembered, and for how long. */
export interface TombstoneBounds {
  readonly tombstoneMs?: number;
  readonly tombstoneBytes?: number;
}

/** What stands under each key, with all that must change with it: the change index, the order of keys, expiry. */
export class EntryTable<V> {
  readonly index: ChangeIndex<V>;
  readonly #env: Env;
  /**
   * Values that live for ever and have been asked for, once more by themselves: another hit takes
   * one look into one map, and not the cache miss of going by the node.
   */
  readonly #lasting = new Map<string, V>();
  readonly #keys = new OrderedKeys();
  readonly #expiring = new Set<string>();

  constructor(
    env: Env,
    { tombstoneMs = 7 * DAY_MS, tombstoneBytes = 8 * 2 ** 20 }: TombstoneBounds,
  ) {
    this.#env = env;
    this.index = new ChangeIndex(tombstoneMs, tombstoneBytes);
  }

  /** Whether anything may expire. */
  get expires(): boolean {
    return this.#expiring.size > 0;
  }

  peek(key: string): V | undefined {
    const value = this.#lasting.get(key);
    if (value !== undefined) return value;
    const node = this.live(key);
    if (node === undefined) return undefined;
    const found = node.value;
    if (found !== undefined && node.expiresAt === undefined) this.#lasting.set(key, found);
    return found;
  }

  live(key: string): Node<V> | undefined {
    const node = this.index.get(key);
    if (node === undefined || !node.isLive) return undefined;
    return node.expiresAt !== undefined && node.isExpired(this.#env.now()) ? undefined : node;
  }

  *pages(range: KeyRange): Generator<Node<V>[]> {
    let after: string | undefined;
    let left = range.limit;
    while (left > 0) {
      const keys = this.#keys.page(range, after, Math.min(PAGE, left));
      if (keys.length === 0) return;
      after = keys[keys.length - 1];
      const nodes = keys.map((key) => this.live(key)).filter((node) => node !== undefined);
      left -= nodes.length;
      yield nodes;
    }
  }

  /**
   * Puts a live node that never expires under a key that most likely has none, into a table that
   * nobody has read from; false where it had one.
   */
  putNew(node: Node<V>): boolean {
    const isNew = this.index.putNew(node) === undefined;
    if (isNew) this.#keys.add(node.key);
    return isNew;
  }

  /** Puts a node in the place of its key's former one, everywhere. */
  put(node: Node<V>, former: Node<V> | undefined, nowMs: number): void {
    const { key } = node;
    this.index.put(node, former, nowMs);
    if (!node.isLive) {
      if (former?.isLive) this.#keys.delete(key);
    } else if (!former?.isLive) this.#keys.add(key);
    if (node.expiresAt !== undefined) this.#expiring.add(key);
    else if (former?.expiresAt !== undefined) this.#expiring.delete(key);
    if (this.#lasting.size === 0 || !this.#lasting.has(key)) return;
    const { value } = node;
    if (value !== undefined && node.expiresAt === undefined) this.#lasting.set(key, value);
    else this.#lasting.delete(key);
  }

  /**
   * Removes expired values, and gives their keys. A tombstone stays in the place of each, because a
   * reader that resumes may hold an older value without an expiry.
   */
  sweep(nowMs: number): string[] {
    const buried = [...this.#expiring].filter((key) => this.bury(key, nowMs));
    this.index.forget(nowMs);
    return buried;
  }

  /** Removes an entry if it is expired. */
  bury(key: string, nowMs: number): boolean {
    const node = this.index.get(key);
    if (node === undefined || !node.isExpired(nowMs)) return false;
    this.#expiring.delete(key);
    this.#keys.delete(key);
    this.index.bury(node, nowMs);
    return true;
  }

  clear(): void {
    this.index.clear();
    this.#lasting.clear();
    this.#keys.clear();
  }
}
