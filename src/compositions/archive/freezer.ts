import { failure, isStrataError } from '../../store/errors.ts';
import { type ColdObject, type ColdObjects, DELETED, isInDoubt } from './cold-objects.ts';
import type { Named } from './hot-key.ts';
import type { HotSide, Taken } from './hot-side.ts';

/** What became of the marks that were taken. */
export interface DrainResult {
  /** Keys whose value is in the cold store now. */
  readonly frozen: number;
  /** Keys that were gone from Redis, and now are in the cold store too. */
  readonly deleted: number;
  /** Keys that could not be frozen; they stay marked and are tried again. */
  readonly failed: readonly { readonly key: string; readonly error: unknown }[];
}

/** How marks are worked off. */
export interface FreezerOptions {
  readonly leaseMs: number;
  readonly concurrency: number;
  readonly throttleMs: number;
  readonly retryMs: { readonly first: number; readonly most: number };
}

type Fate = 'frozen' | 'deleted' | 'again';

/** Payloads that are in memory at once, about. */
const TAKEN_BYTES = 16 * 1024 * 1024;
/** Times that one put is tried while others write the same object. */
const PUTS = 4;
/** Times that marks are taken which must be worked off now. */
const ROUNDS = 3;

/** Works off marks: takes them under a lease, puts what they stand for, and settles them. */
export class Freezer {
  readonly #hot: HotSide;
  readonly #cold: ColdObjects;
  readonly #options: FreezerOptions;

  constructor(hot: HotSide, cold: ColdObjects, options: FreezerOptions) {
    this.#hot = hot;
    this.#cold = cold;
    this.#options = options;
  }

  /** Takes what is due until nothing is. */
  async drain(operation: string): Promise<DrainResult> {
    const result = { frozen: 0, deleted: 0, failed: [] as { key: string; error: unknown }[] };
    for (;;) {
      const taken = await this.#take(operation);
      if (taken.length === 0) return result;
      await Promise.all(
        taken.map(async (item) => {
          const fate = await this.#tried(operation, item, result.failed);
          if (fate === 'frozen' || fate === 'deleted') result[fate]++;
        }),
      );
    }
  }

  /** Works off the marks of some keys now, and throws what the first of them failed with. */
  async workOff(operation: string, keys: readonly Named[]): Promise<void> {
    const failed: { key: string; error: unknown }[] = [];
    for (let at = 0; at < keys.length; at += this.#options.concurrency) {
      const chunk = keys.slice(at, at + this.#options.concurrency);
      // Once, and once more where Redis had gone back behind what the cold store has.
      for (let round = 0; round < ROUNDS && failed.length === 0; round++) {
        const taken = await this.#take(operation, chunk);
        if (taken.length === 0) break;
        await Promise.all(taken.map((item) => this.#tried(operation, item, failed)));
      }
    }
    const [first] = failed;
    if (first !== undefined) throw first.error;
  }

  #take(operation: string, only?: readonly Named[]): Promise<readonly Taken[]> {
    const { leaseMs, concurrency } = this.#options;
    const bounds = { leaseMs, mostKeys: concurrency, mostBytes: TAKEN_BYTES };
    return this.#hot.take(operation, only === undefined ? bounds : { ...bounds, only });
  }

  async #tried(
    operation: string,
    item: Taken,
    failed: { key: string; error: unknown }[],
  ): Promise<Fate | undefined> {
    try {
      return await this.#workOff(operation, item);
    } catch (error) {
      failed.push({ key: item.key.shown, error });
      const code = isStrataError(error) ? error.code : 'unavailable';
      const { first, most } = this.#options.retryMs;
      const delayMs = Math.min(most, first * 2 ** Math.min(item.tries, 30));
      const jitteredMs = Math.ceil(delayMs * (0.5 + this.#hot.env.random() / 2));
      await this.#hot.fail(operation, item, jitteredMs, code);
      return undefined;
    }
  }

  async #workOff(operation: string, item: Taken): Promise<Fate> {
    const { key, state, object } = item;
    if (state === 'error')
      throw failure(
        'unavailable',
        operation,
        `${this.#hot.title} cannot read ${JSON.stringify(key.shown)}`,
        { key: key.shown },
      );
    // Its object is there, or it would not be recorded so.
    if (state !== 'evicted' && !(await this.#put(operation, item))) return 'again';
    const { throttleMs } = this.#options;
    if (!(await this.#hot.settle(operation, item, throttleMs))) return 'again';
    return object.type === DELETED ? 'deleted' : 'frozen';
  }

  /** Puts an object over every older one; false where a newer one stands. */
  async #put(operation: string, item: Taken): Promise<boolean> {
    const { key, object } = item;
    let doubt: unknown;
    for (let tries = 0; tries < PUTS; tries++) {
      const found = await this.#cold.find(key);
      const there = found?.object;
      if (there !== undefined && there.generation >= object.generation) {
        // The put whose answer was lost.
        if (doubt !== undefined && isSame(there, object)) return true;
        await this.#hot.raise(operation, item, there.generation);
        return false;
      }
      try {
        await this.#cold.put(key, object, found);
        return true;
      } catch (error) {
        if (!isInDoubt(error)) throw error;
        doubt = error;
      }
    }
    throw doubt;
  }
}

function isSame(a: ColdObject, b: ColdObject): boolean {
  return (
    a.generation === b.generation &&
    a.digest === b.digest &&
    a.expiresAt === b.expiresAt &&
    a.type === b.type
  );
}
