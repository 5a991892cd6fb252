import { sameValue } from '../../store/clone.ts';
import type { Entry, EntryHead } from '../../store/entry.ts';
import type { Standing } from '../../store/feed/plan.ts';
import type { PackedSets, SetWrite } from '../../store/primitives.ts';
import type { SetHeads } from './set-heads.ts';

/**
 * What is known of a key; its content never changes once linked, so that a reader may hold it.
 */
export abstract class Node<V> implements Standing<V> {
  readonly key: string;
  previous: Node<V> | undefined = undefined;
  next: Node<V> | undefined = undefined;
  linked = false;

  constructor(key: string) {
    this.key = key;
  }

  abstract get rev(): number;
  abstract get pos(): number;
  /** Absent for a tombstone. */
  abstract get live(): EntryHead | undefined;
  abstract get value(): V | undefined;
  abstract get expiresAt(): number | undefined;

  /** Whether there is a head, without making it. */
  get isLive(): boolean {
    return true;
  }

  get isImmutable(): boolean {
    return this.live?.immutable === true;
  }

  sameValue(value: V): boolean {
    return sameValue(this.value, value);
  }

  /** The entry of a live node. */
  toEntry(): Entry<V> {
    return { ...(this.live as EntryHead), value: this.value as V };
  }

  isExpired(nowMs: number): boolean {
    const { expiresAt } = this;
    return expiresAt !== undefined && expiresAt <= nowMs;
  }
}

/** An entry that was written by itself. Value and expiry stand on the node: a hit touches nothing else. */
export class EntryNode<V> extends Node<V> {
  readonly rev: number;
  readonly pos: number;
  readonly value: V;
  readonly expiresAt: number | undefined;
  /** The head, or what it is to be made of. */
  #head: EntryHead | SetWrite<V>;
  /** Makes the head, until it has. */
  #heads: SetHeads | undefined;

  constructor(
    key: string,
    rev: number,
    pos: number,
    head: EntryHead | SetWrite<V>,
    value: V,
    heads: SetHeads | undefined,
  ) {
    super(key);
    this.rev = rev;
    this.pos = pos;
    this.value = value;
    this.expiresAt = head.expiresAt;
    this.#head = head;
    this.#heads = heads;
  }

  get live(): EntryHead {
    if (this.#heads !== undefined) {
      this.#head = this.#heads.make(this.#head as SetWrite<V>, this.pos);
      this.#heads = undefined;
    }
    return this.#head as EntryHead;
  }

  override get isImmutable(): boolean {
    return this.#head.immutable === true;
  }
}

/** Packed sets at their place in a commit. */
export interface Placed<V> {
  readonly pack: PackedSets<V>;
  readonly heads: SetHeads;
  readonly firstPos: number;
}

/**
 * An entry that came packed: value and head are made when somebody asks for them. The head is not
 * kept: with it a copy that was listed once would take twice the memory.
 */
export class PackedNode<V> extends Node<V> {
  readonly #placed: Placed<V>;
  readonly #at: number;
  #value: V | undefined = undefined;

  constructor(key: string, placed: Placed<V>, at: number) {
    super(key);
    this.#placed = placed;
    this.#at = at;
  }

  get rev(): number {
    return this.#placed.heads.rev;
  }

  get pos(): number {
    return this.#placed.firstPos + this.#at;
  }

  get live(): EntryHead {
    const { pack, heads } = this.#placed;
    return heads.make(pack.setAt(this.#at), this.pos);
  }

  get value(): V {
    this.#value ??= this.#placed.pack.valueAt(this.#at);
    return this.#value;
  }

  /** What expires does not come packed. */
  get expiresAt(): undefined {
    return undefined;
  }
}

/** What is left of a key that was removed. */
export class Tombstone<V> extends Node<V> {
  readonly rev: number;
  readonly pos: number;
  /** Set while it may be forgotten. */
  grave: Grave<V> | undefined = undefined;

  constructor(key: string, rev: number, pos: number) {
    super(key);
    this.rev = rev;
    this.pos = pos;
  }

  override get isLive(): boolean {
    return false;
  }

  get live(): undefined {
    return undefined;
  }

  get value(): undefined {
    return undefined;
  }

  get expiresAt(): undefined {
    return undefined;
  }
}

/**
 * A tombstone in the order of being forgotten. It lets go of a node that was replaced, whose
 * `previous` would keep a chain of old values alive.
 */
export interface Grave<V> {
  node: Tombstone<V> | undefined;
  readonly bytes: number;
  readonly madeMs: number;
}
