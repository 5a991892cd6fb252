import type { Entry } from '../../../store/entry.ts';
import { isStrataError } from '../../../store/errors.ts';
import type { CommitOutcome, Primitives, SetWrite, Write } from '../../../store/primitives.ts';
import type { Dealt, Steps, Task, Wish } from './target.ts';

/** After so many lost races a batch is taken apart. */
const MAX_TRIES = 3;

/** How copies look, and what they may replace. */
export interface CopyRules<V> {
  /** The copy of an entry. */
  copy(entry: Entry<V>): SetWrite<V>;
  /** Whether what the front has is a copy of this entry. */
  isCopyOf(copy: Entry<V>, entry: Entry<V>): boolean;
  /** Whether an entry of the front may be replaced or removed at all. */
  mayReplace(entry: Entry<V>): boolean;
  /** A key that must be absent beside a key of the front for it to be touched. */
  guardKey?(key: string): string;
}

/** What the front has of a key. */
interface Standing<V> {
  readonly own: Entry<V> | undefined;
  readonly guarded: boolean;
}

/** Versions by key; `undefined` where there was nothing. */
type Seen = Map<string, string | undefined>;

/** A write of the front, with what it counts as. */
interface Step<V> {
  readonly key: string;
  readonly write: Write<V>;
  readonly counts: 'copied' | 'removed';
}

/**
 * Copies by conditional writes: the front is read before the back, and changed only where it still
 * is as it was read. So whoever writes to the front meanwhile wins.
 */
export class ConditionalCopies<V> {
  readonly #front: Primitives<V>;
  readonly #back: Primitives<V>;
  readonly #rules: CopyRules<V>;

  constructor(front: Primitives<V>, back: Primitives<V>, rules: CopyRules<V>) {
    this.#front = front;
    this.#back = back;
    this.#rules = rules;
  }

  deal(task: Task, steps: Steps): Promise<Dealt> {
    return this.#deal(task, steps, new Map());
  }

  /** `seen` has the versions of the front that this began with: what has another now was written by others. */
  async #deal(task: Task, steps: Steps, seen: Seen): Promise<Dealt> {
    const { keys, wish } = task;
    for (let tries = 1; ; tries++) {
      const standing = await this.#standing(keys, wish === 'fill' && seen.size === 0, steps);
      if (seen.size === 0)
        for (const [i, key] of keys.entries()) seen.set(key, standing[i]?.own?.version);
      const entries = await steps.run((call) => this.#back.readMany(keys, call));
      const tally = new Tally();
      const planned: Step<V>[] = [];
      for (const [i, key] of keys.entries()) {
        const entry = entries[i];
        const expected = task.expected?.get(key);
        if (expected !== undefined && entry?.version !== expected) {
          tally.changed = key;
          break;
        }
        const { own, guarded } = standing[i] as Standing<V>;
        const isOthers = guarded || own?.version !== seen.get(key);
        const step = isOthers ? 'skipped' : this.#decide(key, wish, own, entry);
        if (typeof step === 'string') tally[step]++;
        else planned.push(step);
      }
      try {
        await this.#apply(planned, tally, steps);
        return tally;
      } catch (error) {
        if (!isStrataError(error, 'conflict')) throw error;
        if (tries < MAX_TRIES) continue;
        // Somebody else keeps writing these keys: what was written by others stands.
        if (keys.length === 1) return { ...new Tally(), skipped: 1 };
        return this.#dealEach(task, steps, seen);
      }
    }
  }

  async #dealEach({ keys, ...task }: Task, steps: Steps, seen: Seen): Promise<Dealt> {
    const tally = new Tally();
    for (const key of keys) {
      tally.add(await this.#deal({ ...task, keys: [key] }, steps, seen));
      if (tally.changed !== undefined) break;
    }
    return tally;
  }

  /** What the front has; nothing, where that is to be expected and a condition will tell otherwise. */
  async #standing(
    keys: readonly string[],
    expectNothing: boolean,
    steps: Steps,
  ): Promise<readonly Standing<V>[]> {
    const { guardKey } = this.#rules;
    if (expectNothing) return keys.map(() => ({ own: undefined, guarded: false }));
    const guards = guardKey === undefined ? [] : keys.map((key) => guardKey(key));
    const found = await steps.run((call) => this.#front.readMany([...keys, ...guards], call));
    return keys.map((_, i) => ({ own: found[i], guarded: found[keys.length + i] !== undefined }));
  }

  /** What is to be written, or what the key counts as. */
  #decide(
    key: string,
    wish: Wish,
    own: Entry<V> | undefined,
    entry: Entry<V> | undefined,
  ): Step<V> | 'skipped' | 'missing' {
    const removal = (): Step<V> | 'skipped' =>
      own === undefined
        ? 'skipped'
        : {
            key,
            counts: 'removed',
            write: { type: 'delete', key, if: { version: own.version } },
          };
    if (own !== undefined && !this.#rules.mayReplace(own)) return 'skipped';
    if (entry === undefined) return own !== undefined && wish === 'mirror' ? removal() : 'missing';
    if (own !== undefined && (wish === 'fill' || this.#rules.isCopyOf(own, entry)))
      return 'skipped';
    // What a cache gives in place of its own back is nothing to keep.
    if (entry.stale === true) return 'skipped';
    // An older copy of what the front cannot hold is better gone.
    if (entry.expiresAt !== undefined && !this.#front.capabilities.ttl) return removal();
    const condition = own === undefined ? ('absent' as const) : { version: own.version };
    return { key, counts: 'copied', write: { ...this.#rules.copy(entry), if: condition } };
  }

  async #apply(planned: readonly Step<V>[], tally: Tally, steps: Steps): Promise<void> {
    if (planned.length === 0) return;
    const whole = this.#front.capabilities.atomic === 'batch';
    // Where a batch is not atomic, one that fails would not tell what it did.
    for (const part of whole ? [planned] : planned.map((step) => [step])) {
      const writes = part.flatMap((step) => this.#writesOf(step));
      const done = await steps.run((call) => this.#front.commit(writes, call));
      const each = writes.length / part.length;
      part.forEach(({ counts }, i) => {
        tally.count(counts, done, i * each);
      });
    }
  }

  #writesOf({ key, write }: Step<V>): Write<V>[] {
    const { guardKey } = this.#rules;
    if (guardKey === undefined) return [write];
    return [write, { type: 'delete', key: guardKey(key), if: 'absent' }];
  }
}

class Tally implements Dealt {
  copied = 0;
  skipped = 0;
  removed = 0;
  missing = 0;
  declare changed?: string;

  /** Counts one write that was made. */
  count(as: 'copied' | 'removed', { outcomes }: CommitOutcome, at: number): void {
    if (as === 'copied' || outcomes[at]?.existed === true) this[as]++;
  }

  add({ copied, skipped, removed, missing, changed }: Dealt): void {
    this.copied += copied;
    this.skipped += skipped;
    this.removed += removed;
    this.missing += missing;
    if (changed !== undefined) this.changed = changed;
  }
}
