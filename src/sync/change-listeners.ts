import { type Operation, toWrites } from './operations.ts';

/** One key that has changed in the local copy. */
export interface RemoteChange<V> {
  readonly key: string;
  /** Absent after a delete. */
  readonly value?: V;
  readonly deleted: boolean;
}

/** Hears of one change after it is durable. What it throws, or a promise it gives rejects with, goes to `onError`. */
export type ChangeListener<V> = (change: RemoteChange<V>) => unknown;

/** Which keys: a text means that key and all that begin with it. */
export type ChangeMatch = string | { readonly key: string } | { readonly prefix: string };

interface Listener<V> {
  matches(key: string): boolean;
  readonly fn: ChangeListener<V>;
}

/** Who wants to hear of changes. What a listener throws is reported and stops nothing. */
export class ChangeListeners<V> {
  readonly #listeners: Set<Listener<V>> = new Set();
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Gives the removal. */
  add(match: ChangeMatch, fn: ChangeListener<V>): () => void {
    const listener: Listener<V> = { matches: matcher(match), fn };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get size(): number {
    return this.#listeners.size;
  }

  /** Tells of what became durable; `toPublic` gives each listener a value of its own. */
  emit(changes: readonly Operation<unknown>[], toPublic: (stored: unknown) => V): void {
    if (this.#listeners.size === 0) return;
    for (const change of toWrites(changes)) {
      for (const { matches, fn } of this.#listeners) {
        if (!matches(change.key)) continue;
        const { key } = change;
        this.#call(fn, () =>
          change.type === 'delete'
            ? { key, deleted: true }
            : { key, value: toPublic(change.value), deleted: false },
        );
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }

  #call(fn: ChangeListener<V>, change: () => RemoteChange<V>): void {
    try {
      const result = fn(change());
      if (result instanceof Promise) result.catch(this.#report);
    } catch (error) {
      this.#report(error);
    }
  }
}

function matcher(match: ChangeMatch): (key: string) => boolean {
  if (typeof match === 'string') return (key) => key.startsWith(match);
  return 'key' in match ? (key) => key === match.key : (key) => key.startsWith(match.prefix);
}
