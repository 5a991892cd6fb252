import { cloneValue } from '../../../store/clone.ts';
import type { Codec } from '../../../store/codec.ts';
import type { Entry } from '../../../store/entry.ts';
import { isStrataError, StrataError } from '../../../store/errors.ts';
import type { Primitives, Write } from '../../../store/primitives.ts';

/** What can be given to any codec of values, until one of its own kind is known. */
const SAMPLES: readonly unknown[] = [null, '', 0, {}, [], new Uint8Array(0)];

/** Keeps pending values apart from those of callers, and gives them as the back would. */
export class Values<V> {
  readonly #codec: Codec<V> | undefined;
  readonly #guard: ((value: V) => V) | undefined;
  readonly #clones: boolean;

  constructor(front: Primitives<V>, back: Primitives<V>) {
    this.#codec = back.codec;
    this.#guard = front.guard?.bind(front);
    this.#clones = front.codec !== undefined;
  }

  /** Writes with values that nobody else has. Errors: `invalid-argument`, naming the key. */
  own(writes: readonly Write<V>[], operation: string): readonly Write<V>[] {
    return writes.map((write) => {
      if (write.type === 'delete') return write;
      const { key, value } = write;
      try {
        return { ...write, value: this.#in(value) };
      } catch (cause) {
        const code = isStrataError(cause) ? cause.code : 'invalid-argument';
        const why = cause instanceof Error ? cause.message : String(cause);
        const what = `the value of ${JSON.stringify(key)} cannot be kept: ${why}`;
        throw new StrataError(code, `${operation}: ${what}`, { operation, key, cause });
      }
    });
  }

  /** A pending entry on its way out. */
  give(entry: Entry<V>): Entry<V> {
    return this.#guard !== undefined ? entry : { ...entry, value: this.value(entry.value) };
  }

  /** A pending value on its way out. */
  value(value: V): V {
    return this.#guard !== undefined ? value : this.#copy(value);
  }

  /** A value of this store and one of the application, either way: as the back would give it, and shared with nobody. */
  apart(value: V): V {
    if (this.#codec === undefined && this.#guard !== undefined) return this.#guard(value);
    return this.#copy(value);
  }

  /** A value that says nothing, for an entry that only has metadata. */
  sample(): V {
    const codec = this.#codec;
    if (codec === undefined) return new Uint8Array(0) as V;
    return SAMPLES.find((sample) => isTaken(codec, sample as V)) as V;
  }

  #in(value: V): V {
    // A value may come out of the codec of the back as another (a date as text).
    if (this.#codec !== undefined) return this.#codec.decode(this.#codec.encode(value));
    // The facade has copied it.
    return this.#guard !== undefined ? value : this.#copy(value);
  }

  #copy(value: V): V {
    if (this.#codec !== undefined) return this.#codec.decode(this.#codec.encode(value));
    if (value instanceof Uint8Array) return new Uint8Array(value) as V;
    return this.#clones ? cloneValue(value) : value;
  }
}

function isTaken<V>(codec: Codec<V>, sample: V): boolean {
  try {
    return codec.decode(codec.encode(sample)) !== undefined;
  } catch {
    return false;
  }
}
