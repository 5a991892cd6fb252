import { failure } from '../../store/errors.ts';
import type { ColdObject, ColdObjects } from './cold-objects.ts';
import type { Named } from './hot-key.ts';
import type { HotSide, KeptReason } from './hot-side.ts';

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

const always = (): boolean => true;

/** Takes keys out of the hot side that the cold store has as they are. */
export class Evictor {
  readonly #hot: HotSide;
  readonly #cold: ColdObjects;
  readonly #options: EvictorOptions;

  constructor(hot: HotSide, cold: ColdObjects, options: EvictorOptions) {
    this.#hot = hot;
    this.#cold = cold;
    this.#options = options;
  }

  /** All that were begun, while it may go on, are done with when it settles; it rejects as the first that failed. */
  async evict(
    operation: string,
    keys: readonly Named[],
    idleMs: number,
    goesOn: () => boolean = always,
  ): Promise<EvictResult> {
    let evicted = 0;
    const kept: { key: string; reason: KeptReason }[] = [];
    const { concurrency } = this.#options;
    let next = 0;
    const evictor = async (): Promise<void> => {
      for (let key = keys[next++]; key !== undefined && goesOn(); key = keys[next++]) {
        const outcome = await this.#evictOne(operation, key, idleMs);
        if (outcome === 'evicted') evicted++;
        else kept.push({ key: key.shown, reason: outcome });
      }
    };
    const all = Array.from({ length: concurrency }, evictor);
    for (const end of await Promise.allSettled(all))
      if (end.status === 'rejected') throw end.reason;
    return { evicted, kept };
  }

  /** Evicts what was idle long enough, for as long as it may go on. */
  async evictIdle(operation: string, goesOn: () => boolean = always): Promise<EvictResult> {
    const { evictAfterMs } = this.#options;
    if (evictAfterMs === undefined)
      throw failure('unsupported', operation, 'the archive has no option evictAfterMs');
    let evicted = 0;
    const kept: { key: string; reason: KeptReason }[] = [];
    for await (const keys of this.#hot.idleKeys(operation, evictAfterMs)) {
      const part = await this.evict(operation, keys, evictAfterMs, goesOn);
      evicted += part.evicted;
      // One that was used or deleted in between is nothing to tell of.
      kept.push(...part.kept.filter(({ reason }) => reason === 'dirty'));
      if (!goesOn()) break;
    }
    return { evicted, kept };
  }

  async #evictOne(operation: string, key: Named, idleMs: number): Promise<'evicted' | KeptReason> {
    const mark = await this.#hot.beginEvict(operation, key, idleMs, this.#options.leaseMs);
    if (typeof mark === 'string') return mark;
    let object: ColdObject | undefined;
    try {
      object = (await this.#cold.find(key))?.object;
    } catch (error) {
      // As it was: nothing is known of it.
      await this.#hot.settle(operation, mark, 0, 0);
      throw error;
    }
    // Without an object the digest fits nothing, so that the key is frozen.
    const known = object ?? { generation: 0, digest: '', expiresAt: 0 };
    return this.#hot.evict(operation, mark, idleMs, known);
  }
}
