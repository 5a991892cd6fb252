import { isStrataError } from '../store/errors.ts';
import type { Store } from '../store/store.ts';

/** An entry that is to go, in the version that was examined. */
export interface Doomed {
  readonly key: string;
  readonly version: string;
}

interface Bounds {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** Removes those that are still what they were; resolves with them. */
export async function removeUnchanged<V>(
  store: Store<V>,
  doomed: readonly Doomed[],
  { signal, timeoutMs }: Bounds,
): Promise<readonly Doomed[]> {
  const bounds = { signal, timeoutMs };
  return store.capabilities.atomic === 'batch'
    ? removeTogether(store, doomed, bounds)
    : removeSingly(store, doomed, bounds);
}

/** One batch; what has changed is left out and the rest tried again. */
async function removeTogether<V>(
  store: Store<V>,
  doomed: readonly Doomed[],
  bounds: Bounds,
): Promise<readonly Doomed[]> {
  let left = doomed;
  while (left.length > 0) {
    try {
      await store.batch(
        left.map(({ key, version }) => ({ type: 'delete', key, if: { version } })),
        bounds,
      );
      return left;
    } catch (error) {
      if (!isStrataError(error, 'conflict')) throw error;
      const keys = left.map(({ key }) => key);
      const now = await store.getEntries(keys, { ...bounds, fresh: true });
      const same = left.filter(({ key, version }) => now.get(key)?.version === version);
      if (same.length === left.length) throw error;
      left = same;
    }
  }
  return left;
}

async function removeSingly<V>(
  store: Store<V>,
  doomed: readonly Doomed[],
  bounds: Bounds,
): Promise<Doomed[]> {
  const gone: Doomed[] = [];
  for (const one of doomed) {
    try {
      if (await store.delete(one.key, { ...bounds, if: { version: one.version } })) gone.push(one);
    } catch (error) {
      if (!isStrataError(error, 'conflict')) throw error;
    }
  }
  return gone;
}
