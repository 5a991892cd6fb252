import type { Awaitable } from '../../../store/awaitable.ts';
import type { Call } from '../../../store/call.ts';
import type { Entry } from '../../../store/entry.ts';
import { failure } from '../../../store/errors.ts';
import type { Dealt, Steps, Task, Wish } from './target.ts';

/** So often a copy is tried that a race may have kept away. */
const MAX_TRIES = 3;

type Found<V> = readonly (Entry<V> | undefined)[];

/** What a tiered store at work lends to a warming of its front. Calls are `fresh`. */
export interface LiveSetup<V> {
  /** Reads the front, as it is. */
  readFront(keys: readonly string[], call: Call): Awaitable<Found<V>>;
  /** Reads the back, as it is. */
  readBack(keys: readonly string[], call: Call): Awaitable<Found<V>>;
  /**
   * Reads keys from the back anew and brings the front to it, by the same rules as any read: what
   * is written meanwhile is not overwritten. Resolves when the front has its copies.
   */
  renew(keys: readonly string[], call: Call): Awaitable<unknown>;
  /** Whether the front is kept from being asked for the key, and nobody is about to change that. */
  isFenced(key: string): boolean;
  /** Whether a copy is young enough to be served. */
  isFresh(copy: Entry<V>): boolean;
  readonly frontTakesExpiry: boolean;
}

interface Renewed {
  readonly copied: number;
  readonly removed: number;
  readonly now: ReadonlyMap<string, string>;
}

/**
 * Copies within a tiered store at work. Every change of the front goes the way of a read of the back:
 * through the generations of its keys. What was done is then seen in the front itself.
 */
export class LiveCopies<V> {
  readonly #setup: LiveSetup<V>;

  constructor(setup: LiveSetup<V>) {
    this.#setup = setup;
  }

  async deal({ keys, wish, expected }: Task, steps: Steps): Promise<Dealt> {
    const own = await steps.run((call) => this.#setup.readFront(keys, call));
    const entries = await steps.run((call) => this.#setup.readBack(keys, call));
    const isChanged = (key: string, version: string | undefined): boolean =>
      expected?.has(key) === true && expected.get(key) !== version;
    const changedAt = keys.findIndex((key, i) => isChanged(key, entries[i]?.version));
    const count = changedAt < 0 ? keys.length : changedAt;
    const due = new Map<string, string | undefined>();
    let missing = 0;
    for (const [i, key] of keys.slice(0, count).entries()) {
      const verdict = this.#verdict(wish, own[i], entries[i]);
      if (verdict === 'missing') missing++;
      if (verdict === 'due') due.set(key, own[i]?.version);
    }
    const { now, ...done } = await this.#renew(due, steps);
    const skipped = count - missing - done.copied - done.removed;
    // What others have changed since then is in the front already; its links were not followed.
    const late = [...due.keys()].find((key) => now.has(key) && isChanged(key, now.get(key)));
    const changed = late ?? (changedAt < 0 ? undefined : keys[changedAt]);
    return { ...done, missing, skipped, ...(changed !== undefined && { changed }) };
  }

  /**
   * Brings keys to what the back holds; they come with the versions that the front had of them. `now`
   * has the back's versions of the copies.
   */
  async #renew(due: ReadonlyMap<string, string | undefined>, steps: Steps): Promise<Renewed> {
    const done = { copied: 0, removed: 0, now: new Map<string, string>() };
    let keys = [...due.keys()];
    for (let tries = 1; keys.length > 0; tries++) {
      const asked = keys;
      await steps.run((call) => this.#setup.renew(asked, call));
      const copies = await steps.run((call) => this.#setup.readFront(asked, call));
      keys = asked.filter((key, i) => {
        const had = due.get(key);
        const copy = copies[i];
        // A write may have got in between, or the front may not take anything.
        if (this.#setup.isFenced(key)) return true;
        if (copy?.origin !== undefined) done.now.set(key, copy.origin.version);
        if (copy !== undefined && copy.version !== had) done.copied++;
        else if (copy === undefined && had !== undefined) done.removed++;
        return false;
      });
      if (keys.length > 0 && tries >= MAX_TRIES)
        throw failure('unavailable', 'warm', 'the front does not take copies', { key: keys[0] });
    }
    return done;
  }

  #verdict(
    wish: Wish,
    own: Entry<V> | undefined,
    entry: Entry<V> | undefined,
  ): 'due' | 'skipped' | 'missing' {
    if (entry === undefined) return own !== undefined && wish === 'mirror' ? 'due' : 'missing';
    if (entry.stale === true) return 'skipped';
    if (own === undefined)
      return this.#setup.frontTakesExpiry || entry.expiresAt === undefined ? 'due' : 'skipped';
    if (wish === 'fill') return 'skipped';
    const isCurrent = own.origin?.version === entry.version && this.#setup.isFresh(own);
    return isCurrent ? 'skipped' : 'due';
  }
}
