import type { Change } from '../store/entry.ts';
import { StrataError } from '../store/errors.ts';
import { changeBytes } from '../store/feed/commit-log.ts';
import { blame } from './scope.ts';

type Set = Change<unknown> & { readonly type: 'set' };

/**
 * The changes of one group in the order of the places that the application gives their keys: sets
 * from the lowest place up, each place in the order of writing, then deletes from the highest down,
 * so that what points to something comes after it and goes before it.
 *
 * Holds at most so many bytes. Beyond that, the lowest place goes out as it comes; deletes that do
 * not fit go out early, which no group that is applied whole can tell.
 */
export class OrderedChanges {
  readonly #order: (key: string) => number;
  readonly #maxBytes: number;
  readonly #sets: Map<string, { readonly change: Set; readonly place: number }> = new Map();
  readonly #deletes: Map<string, { readonly change: Change<unknown>; readonly place: number }> =
    new Map();
  /** Sets of this place are not held any more. */
  #flowing: number | undefined;
  /** Of all that is held, by estimate. */
  bytes = 0;

  constructor(order: (key: string) => number, maxBytes: number) {
    this.#order = order;
    this.#maxBytes = maxBytes;
  }

  /** Takes a change in, in place of an earlier one of its key; gives what goes out now. */
  add(change: Change<unknown>): readonly Change<unknown>[] {
    const { key } = change;
    this.#forget(key);
    const place = this.#placeOf(key);
    if (change.type === 'delete') this.#deletes.set(key, { change, place });
    else if (place === this.#flowing) return [change];
    else if (this.#flowing !== undefined && place < this.#flowing) throw this.#tooMuch();
    else this.#sets.set(key, { change, place });
    this.bytes += sizeOf(change);
    return this.bytes > this.#maxBytes ? this.#shed() : [];
  }

  /** Everything that is held. */
  drain(): readonly Change<unknown>[] {
    const sets = [...this.#sets.values()].sort((a, b) => a.place - b.place);
    const deletes = [...this.#deletes.values()].sort((a, b) => b.place - a.place);
    this.#sets.clear();
    this.#deletes.clear();
    this.bytes = 0;
    return [...sets, ...deletes].map(({ change }) => change);
  }

  #placeOf(key: string): number {
    let place: unknown;
    try {
      place = this.#order(key);
      if (typeof place === 'number' && !Number.isNaN(place)) return place;
    } catch (cause) {
      throw blame('order', key, cause);
    }
    throw blame('order', key, new TypeError(`it gave ${String(place)}; expected a number`));
  }

  #forget(key: string): void {
    for (const held of [this.#sets, this.#deletes]) {
      const former = held.get(key);
      if (former === undefined) continue;
      held.delete(key);
      this.bytes -= sizeOf(former.change);
    }
  }

  #shed(): readonly Change<unknown>[] {
    const out: Change<unknown>[] = [];
    if (this.#flowing === undefined && this.#sets.size > 0) {
      let lowest = Number.POSITIVE_INFINITY;
      for (const { place } of this.#sets.values()) lowest = Math.min(lowest, place);
      this.#flowing = lowest;
      for (const { change, place } of this.#sets.values()) if (place === lowest) out.push(change);
    }
    if (out.length === 0) {
      const deletes = [...this.#deletes.values()].sort((a, b) => b.place - a.place);
      out.push(...deletes.map(({ change }) => change));
    }
    for (const { key } of out) this.#forget(key);
    if (out.length === 0) throw this.#tooMuch();
    return out;
  }

  #tooMuch(): StrataError {
    return new StrataError(
      'overloaded',
      `publish: more than ${this.#maxBytes} bytes of a group wait for their place in the order; limits.orderedBytes says more`,
      { operation: 'publish', retryable: false },
    );
  }
}

function sizeOf(change: Change<unknown>): number {
  return changeBytes(change.key, change.type === 'set' ? change.value : undefined);
}
