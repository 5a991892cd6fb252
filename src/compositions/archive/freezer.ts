import type { RedisWord } from '../../drivers/redis/port.ts';
import { failure, isStrataError } from '../../store/errors.ts';
import { type ColdObject, type ColdObjects, DELETED, isInDoubt } from './cold-objects.ts';
import { type Named, shownKey } from './hot-key.ts';
import type { HotConnection } from './redis-keys.ts';

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

/** A mark that was taken, with what Redis had of the key in that moment. */
interface Taken {
  readonly key: Named;
  readonly generation: string;
  readonly tries: number;
  readonly state: 'value' | 'absent' | 'evicted' | 'error';
  readonly object: ColdObject;
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
  readonly #hot: HotConnection;
  readonly #cold: ColdObjects;
  readonly #options: FreezerOptions;

  constructor(hot: HotConnection, cold: ColdObjects, options: FreezerOptions) {
    this.#hot = hot;
    this.#cold = cold;
    this.#options = options;
  }

  /** Takes what is due until nothing is. */
  async drain(operation: string): Promise<DrainResult> {
    const result = { frozen: 0, deleted: 0, failed: [] as { key: string; error: unknown }[] };
    for (;;) {
      const taken = await this.#take(operation, []);
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
      const chunk = keys.slice(at, at + this.#options.concurrency).map(({ bytes }) => bytes);
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

  async #take(operation: string, keys: readonly Buffer[]): Promise<Taken[]> {
    const { leaseMs, concurrency } = this.#options;
    const bounds: RedisWord[] = [leaseMs, concurrency, TAKEN_BYTES].map(String);
    const items = await this.#hot.run(operation, 'take', [...bounds, ...keys]);
    return (items as Buffer[][]).map(toTaken);
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
      const delay = Math.ceil(delayMs * (0.5 + this.#hot.env.random() / 2));
      const { key, generation } = item;
      await this.#hot.run(operation, 'fail', [key.bytes, generation, String(delay), code]);
      return undefined;
    }
  }

  async #workOff(operation: string, item: Taken): Promise<Fate> {
    const { key, generation, state, object } = item;
    if (state === 'error')
      throw failure('unavailable', operation, `Redis cannot dump ${JSON.stringify(key.shown)}`, {
        key: key.shown,
      });
    // Its object is there, or it would not be recorded so.
    if (state !== 'evicted' && !(await this.#put(operation, item))) return 'again';
    const { throttleMs } = this.#options;
    const settled = await this.#hot.run(operation, 'settle', [
      key.bytes,
      generation,
      String(throttleMs),
    ]);
    if (settled !== 1) return 'again';
    return object.type === DELETED ? 'deleted' : 'frozen';
  }

  /** Puts an object over every older one; false where a newer one stands. */
  async #put(operation: string, { key, generation, object }: Taken): Promise<boolean> {
    let doubt: unknown;
    for (let tries = 0; tries < PUTS; tries++) {
      const found = await this.#cold.find(key);
      const there = found?.object;
      if (there !== undefined && there.generation >= object.generation) {
        // The put whose answer was lost.
        if (doubt !== undefined && isSame(there, object)) return true;
        const found = [key.bytes, generation, String(there.generation)];
        await this.#hot.run(operation, 'raise', found);
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

function toTaken(item: Buffer[]): Taken {
  const [bytes, generation, tries, state, payload, digest, expiresAt, type] = item;
  const isValue = String(state) === 'value';
  return {
    key: { bytes: bytes as Buffer, shown: shownKey(bytes as Buffer) },
    generation: String(generation),
    tries: Number(String(tries)),
    state: String(state) as Taken['state'],
    object: {
      type: isValue ? String(type) : DELETED,
      generation: Number(String(generation)),
      expiresAt: isValue ? Number(String(expiresAt)) : 0,
      digest: isValue ? String(digest) : '',
      payload: isValue ? (payload as Buffer) : new Uint8Array(0),
    },
  };
}
