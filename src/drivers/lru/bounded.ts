import type { Bounded, Evictable } from '../../kernel/eviction.ts';
import type { Entry, Meta } from '../../store/entry.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';

/**
 * Keeps account of the entries that one store may give up. It is told of whatever happens to them,
 * each in constant time, and names those that have to go.
 */
export interface EvictionPolicy {
  /** The entry was written, and from now on may be given up. */
  wrote(key: string, value: unknown, meta: Meta | undefined): void;
  /** The entry was read. A key that is not accounted for changes nothing. */
  used(key: string): void;
  /** The entry is gone, or may no longer be given up. */
  removed(key: string): void;
  /** The keys that have to go for the bounds to hold; they are accounted for no more. Mostly none. */
  victims(): readonly string[];
  /** Forgets all keys. */
  clear(): void;
}

/**
 * An engine within bounds: after each commit that went beyond them, what the policy names is
 * deleted by a commit of its own. Keys of StrataKV itself are never among it.
 */
export class BoundedEngine<V> implements Bounded<V> {
  readonly #engine: Evictable<V>;
  readonly #policy: EvictionPolicy;
  #cachedOnly = false;

  constructor(engine: Evictable<V>, policy: EvictionPolicy) {
    this.#engine = engine;
    this.#policy = policy;
  }

  peek(key: string): V | undefined {
    const value = this.#engine.peek(key);
    if (value !== undefined) this.#policy.used(key);
    return value;
  }

  readOne(key: string): Entry<V> | undefined {
    const entry = this.#engine.readOne(key);
    if (entry !== undefined) this.#policy.used(key);
    return entry;
  }

  commit(operation: string, writes: readonly Write<V>[]): CommitOutcome {
    const done = this.#engine.commit(operation, writes);
    for (const write of writes) this.#account(write);
    const victims = this.#policy.victims();
    if (victims.length > 0) this.#engine.evict(victims);
    return done;
  }

  /** From now on only what is written as `cached` is given up; what is here stays. */
  evictOnlyCached(): void {
    this.#cachedOnly = true;
    this.#policy.clear();
  }

  /** Expired entries were removed. */
  swept(key: string): void {
    this.#policy.removed(key);
  }

  close(): void {
    this.#policy.clear();
  }

  #account(write: Write<V>): void {
    const { key } = write;
    const kept = key.charCodeAt(0) === 0 || (this.#cachedOnly && !isCached(write));
    if (write.type === 'delete' || kept) this.#policy.removed(key);
    else this.#policy.wrote(key, write.value, write.meta);
  }
}

function isCached<V>(write: Write<V>): boolean {
  return write.type === 'set' && write.cached === true;
}
