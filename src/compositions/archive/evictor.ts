import { failure } from '../../store/errors.ts';
import type { ColdObject, ColdObjects } from './cold-objects.ts';
import { isInside, type KeyBounds, type Named, shownKey } from './hot-key.ts';
import type { HotConnection } from './redis-keys.ts';

/** Why a key was not evicted: it is not frozen as it is (and is by the next `drain`), was used, or is not there. */
export type KeptReason = 'dirty' | 'in-use' | 'absent';

/** What became of keys that were to be evicted. */
export interface EvictResult {
  readonly evicted: number;
  readonly kept: readonly { readonly key: string; readonly reason: KeptReason }[];
}

/** How keys are evicted. */
export interface EvictorOptions {
  readonly concurrency: number;
  readonly leaseMs: number;
  readonly evictAfterMs: number | undefined;
}

const SCAN_KEYS = 500;

/** Takes keys out of Redis that the cold store has as they are. */
export class Evictor {
  readonly #hot: HotConnection;
  readonly #cold: ColdObjects;
  readonly #bounds: KeyBounds;
  readonly #options: EvictorOptions;

  constructor(hot: HotConnection, cold: ColdObjects, bounds: KeyBounds, options: EvictorOptions) {
    this.#hot = hot;
    this.#cold = cold;
    this.#bounds = bounds;
    this.#options = options;
  }

  async evict(operation: string, keys: readonly Named[], idleMs: number): Promise<EvictResult> {
    let evicted = 0;
    const kept: { key: string; reason: KeptReason }[] = [];
    const { concurrency } = this.#options;
    for (let at = 0; at < keys.length; at += concurrency)
      await Promise.all(
        keys.slice(at, at + concurrency).map(async (key) => {
          const outcome = await this.#evictOne(operation, key, idleMs);
          if (outcome === 'evicted') evicted++;
          else kept.push({ key: key.shown, reason: outcome });
        }),
      );
    return { evicted, kept };
  }

  async evictIdle(operation: string): Promise<EvictResult> {
    const { evictAfterMs } = this.#options;
    if (evictAfterMs === undefined)
      throw failure('unsupported', operation, 'the archive has no option evictAfterMs');
    let evicted = 0;
    const kept: { key: string; reason: KeptReason }[] = [];
    for await (const keys of this.#idleKeys(operation, evictAfterMs)) {
      const part = await this.evict(operation, keys, evictAfterMs);
      evicted += part.evicted;
      // One that was used or deleted in between is nothing to tell of.
      kept.push(...part.kept.filter(({ reason }) => reason === 'dirty'));
    }
    return { evicted, kept };
  }

  async *#idleKeys(operation: string, idleMs: number): AsyncGenerator<Named[]> {
    const { prefix } = this.#bounds;
    const pattern = `${prefix.replace(/[\\*?[\]^-]/g, '\\$&')}*`;
    let cursor = '0';
    do {
      const words = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(SCAN_KEYS)];
      const [next, found] = (await this.#hot.read(operation, words)) as [Buffer, Buffer[]];
      cursor = String(next);
      const keys = found.filter((bytes) => isInside(bytes, this.#bounds));
      if (keys.length > 0) {
        const idle = (await this.#hot.run(operation, 'idle', [
          String(idleMs),
          ...keys,
        ])) as number[];
        yield idle.map((place) => {
          const bytes = keys[place - 1] as Buffer;
          return { bytes, shown: shownKey(bytes) };
        });
      }
    } while (cursor !== '0');
  }

  async #evictOne(operation: string, key: Named, idleMs: number): Promise<'evicted' | KeptReason> {
    const begin = [key.bytes, String(idleMs), String(this.#options.leaseMs)];
    const begun = String(await this.#hot.run(operation, 'beginEvict', begin));
    if (!/^\d/.test(begun)) return begun as 'evicted' | KeptReason;
    let object: ColdObject | undefined;
    try {
      object = (await this.#cold.find(key))?.object;
    } catch (error) {
      // As it was: nothing is known of it.
      await this.#hot.run(operation, 'settle', [key.bytes, begun, '0']);
      throw error;
    }
    // Without an object the digest fits nothing, so that the key is frozen.
    const { generation = 0, digest = '', expiresAt = 0 } = object ?? {};
    const args = [begun, idleMs, generation, digest, expiresAt].map(String);
    const outcome = await this.#hot.run(operation, 'evict', [key.bytes, ...args]);
    return String(outcome) as 'evicted' | KeptReason;
  }
}
