import { Call } from '../store/call.ts';
import { checkKeys, unsupported } from '../store/checks.ts';
import type { Entry } from '../store/entry.ts';
import { isStrataError } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import type { CallOptions } from '../store/operations.ts';
import { CALL_RULES, checkOptions } from '../store/options.ts';
import type { Primitives, Write } from '../store/primitives.ts';
import type { Store } from '../store/store.ts';
import { BATCH_KEYS } from './options.ts';

/**
 * Writes entries again as they are, so that each is new: a new version, revision and time of
 * writing; value, expiry, metadata and origin stay. Resolves with the keys among these that exist.
 * What a writer found in the store and is about to point to, it touches first: a `sweep` then does
 * not remove it, immutable entries included, of which a repeated `set` would change nothing. A key
 * that is not among the result is gone, and has to be written.
 *
 * Entries are touched in batches, each atomic; `timeoutMs` bounds each read and write.
 *
 * Errors: `unsupported` where the store has no conditional writes, or has immutable entries and no
 * atomic batches; those of the store.
 *
 * ```ts
 * const there = await touch(store, keys);
 * await store.setMany(blocks.filter(([key]) => !there.has(key)));
 * ```
 */
export async function touch<V>(
  store: Store<V>,
  keys: Iterable<string>,
  options: CallOptions = {},
): Promise<Set<string>> {
  const primitives = primitivesOf(store, 'touch');
  checkOptions('touch', options, CALL_RULES);
  const list = [...new Set(checkKeys('touch', keys, primitives.capabilities.maxKeyBytes))];
  if (primitives.capabilities.conditional !== 'all')
    throw unsupported(primitives, 'touch', undefined, 'conditional writes');
  const there = new Set<string>();
  for (let at = 0; at < list.length; at += BATCH_KEYS)
    for (const key of await renew(store, primitives, list.slice(at, at + BATCH_KEYS), options))
      there.add(key);
  return there;
}

/** Writes what exists of a batch again; after a conflict, with what the other writer left. */
async function renew<V>(
  store: Store<V>,
  primitives: Primitives<V>,
  keys: readonly string[],
  options: CallOptions,
): Promise<string[]> {
  for (;;) {
    const entries = [...(await store.getEntries(keys, { ...options, fresh: true })).values()];
    if (entries.length === 0) return [];
    const writes = entries.flatMap((entry) => renewal(primitives, entry));
    const call = new Call(primitives.env, 'touch', undefined, options, primitives.timeoutMs);
    try {
      call.throwIfEnded();
      await call.guard(Promise.resolve(primitives.commit(writes, call)));
      return entries.map(({ key }) => key);
    } catch (error) {
      // Another writer was faster, and so did its part: who loses here loses to progress.
      if (!isStrataError(error, 'conflict')) throw error;
    }
  }
}

/** The writes that put an entry in its own place. */
function renewal<V>(primitives: Primitives<V>, entry: Entry<V>): Write<V>[] {
  const { key, value, version, expiresAt, immutable, meta, origin } = entry;
  const condition = { if: { version } };
  const set = {
    type: 'set' as const,
    key,
    value,
    ...(expiresAt !== undefined && { expiresAt }),
    ...(immutable && { immutable }),
    ...(meta !== undefined && { meta }),
    ...(origin !== undefined && { origin }),
  };
  // An immutable entry makes room for nothing, itself included, unless it is a copy.
  if (immutable !== true || origin !== undefined) return [{ ...set, ...condition }];
  if (primitives.capabilities.atomic !== 'batch')
    throw unsupported(primitives, 'touch', key, 'atomic batches, which immutable entries need');
  return [{ type: 'delete', key, ...condition }, set];
}
