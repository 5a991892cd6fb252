import { failure, isStrataError, type StrataError } from '../../store/errors.ts';
import { type ColdObjects, DELETED, type Found } from './cold-objects.ts';
import type { Named } from './hot-key.ts';
import type { HotSide, Mark, Restored } from './hot-side.ts';
import { type ReturnBounds, ReturnFlow } from './return-flow.ts';

/** Keys asked about in one round trip. */
const CHUNK_KEYS = 1_000;
/** Times that a key is fetched while others restore, change and evict it. */
const FETCHES = 8;

interface Failed {
  readonly key: Named;
  readonly error: unknown;
}

/** What became of keys that were asked for. */
export interface Returned {
  readonly restored: number;
  readonly failed: readonly Failed[];
}

/** A key on its way back. */
interface Asked extends Mark {
  /** How often it was fetched. */
  readonly tries: number;
}

type OnFetched = (bytes: number) => void;

/** Brings back what was evicted. */
export class Returner {
  readonly #hot: HotSide;
  readonly #cold: ColdObjects;
  readonly #most: ReturnBounds;
  /** However many callers ask for a key, one fetch is under way. */
  readonly #fetches = new Map<string, Promise<Restored>>();

  constructor(hot: HotSide, cold: ColdObjects, concurrency: number) {
    this.#hot = hot;
    this.#cold = cold;
    this.#most = { fetching: concurrency, restoring: hot.restoresAtOnce ?? concurrency };
  }

  async ensure(operation: string, keys: readonly Named[]): Promise<void> {
    const { failed } = await this.restore(operation, keys);
    if (failed.length > 0) throw notEnsured(operation, failed);
  }

  async restore(operation: string, keys: readonly Named[]): Promise<Returned> {
    const failed: Failed[] = [];
    let restored = 0;
    const work = async (asked: Asked, onFetched: OnFetched): Promise<Asked | undefined> => {
      try {
        const outcome = await this.#fetched(operation, asked, onFetched);
        if (outcome === 'moved') return again(operation, asked);
        if (outcome === 'restored') restored++;
      } catch (error) {
        failed.push({ key: asked.key, error });
      }
      return undefined;
    };
    for (let at = 0; at < keys.length; at += CHUNK_KEYS) {
      const evicted = await this.#evicted(operation, keys.slice(at, at + CHUNK_KEYS));
      await new ReturnFlow(this.#most, evicted, work).run();
    }
    return { restored, failed };
  }

  async #evicted(operation: string, keys: readonly Named[]): Promise<Asked[]> {
    const found = await this.#hot.presence(operation, keys);
    return keys.flatMap((key, at) => {
      const generation = found[at];
      return typeof generation === 'number' ? [{ key, generation, tries: 0 }] : [];
    });
  }

  #fetched(operation: string, asked: Asked, onFetched: OnFetched): Promise<Restored> {
    const id = asked.key.bytes.toString('latin1');
    let fetch = this.#fetches.get(id);
    if (fetch === undefined) {
      fetch = this.#fetch(operation, asked, onFetched).finally(() => this.#fetches.delete(id));
      this.#fetches.set(id, fetch);
    }
    return fetch;
  }

  async #fetch(
    operation: string,
    { key, generation: recorded, tries }: Asked,
    onFetched: OnFetched,
  ): Promise<Restored> {
    // What is restored must be no older than what was recorded before it was fetched.
    const [generation] = tries === 0 ? [recorded] : await this.#hot.presence(operation, [key]);
    if (typeof generation !== 'number') return generation === 'hot' ? 'present' : 'deleted';
    const found = await this.#cold.find(key);
    const { payload, logical } = found?.object ?? {};
    onFetched((payload?.length ?? 0) + (logical?.length ?? 0));
    return this.#restore(operation, key, generation, found);
  }

  async #restore(
    operation: string,
    key: Named,
    generation: number,
    found: Found | undefined,
  ): Promise<Restored> {
    const object = found?.object;
    if (object === undefined || object.generation < generation)
      return this.#missing(operation, key, generation, found);
    // A tombstone of a later time: Redis went back to before the delete.
    const expiresAt = object.type === DELETED ? 1 : object.expiresAt;
    try {
      return await this.#hot.restore(operation, key, generation, { ...object, expiresAt });
    } catch (cause) {
      // A seal of another kind may have let damage through.
      if (
        !isStrataError(cause, 'unsupported') ||
        (await this.#hot.audit?.isSound(object)) !== false
      )
        throw cause;
      const what = `the cold object of ${JSON.stringify(key.shown)} is damaged`;
      throw failure('corrupt', operation, what, { key: key.shown, cause });
    }
  }

  /** Fails, unless the record has changed since, so that the object had to. */
  async #missing(
    operation: string,
    key: Named,
    generation: number,
    found: Found | undefined,
  ): Promise<Restored> {
    const [now] = await this.#hot.presence(operation, [key]);
    if (now !== generation) return 'moved';
    const name = JSON.stringify(key.shown);
    if (found === undefined)
      throw failure('data-missing', operation, `the cold object of ${name} is gone`, {
        key: key.shown,
      });
    if (found.object !== undefined)
      throw failure('data-missing', operation, `the cold object of ${name} is older than it was`, {
        key: key.shown,
      });
    const code = isStrataError(found.cause) ? found.cause.code : 'corrupt';
    throw failure(code, operation, `the cold object of ${name} does not open`, {
      key: key.shown,
      cause: found.cause,
    });
  }
}

/** The key once more: it was evicted anew while it was fetched. */
function again(operation: string, { tries, ...mark }: Asked): Asked {
  if (tries + 1 < FETCHES) return { ...mark, tries: tries + 1 };
  const { shown } = mark.key;
  throw failure('conflict', operation, `${JSON.stringify(shown)} is evicted again and again`, {
    key: shown,
    retryable: true,
  });
}

/** One error that names every key. */
function notEnsured(operation: string, failed: readonly Failed[]): StrataError {
  const [first] = failed as [Failed];
  const { error } = first;
  const code = isStrataError(error) ? error.code : 'unavailable';
  const why = error instanceof Error ? error.message : String(error);
  const names = failed.map(({ key }) => JSON.stringify(key.shown)).join(', ');
  return failure(code, operation, `${failed.length} of the keys are not there: ${names}; ${why}`, {
    key: first.key.shown,
    cause: error,
    details: { failed: failed.map((one) => ({ key: one.key.shown, error: one.error })) },
    retryable: failed.every((one) => isStrataError(one.error) && one.error.retryable),
  });
}
