import { defineStore } from '../../store/define-store.ts';
import { primitivesOf } from '../../store/internals.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { Store } from '../../store/store.ts';
import type { Seal } from './seal.ts';
import { withSeal } from './with-seal.ts';

export { type Compression, type GzipModule, gzip, type ZstdModule, zstd } from './compression.ts';
export { type SealInfo, sealInfo } from './header.ts';
export { type Seal, type SealContext, type SealOptions, seal } from './seal.ts';

/** Options of `sealed`. */
export interface SealedOptions {
  /** `seal({ … })`, or one of your own. */
  readonly seal: Seal;
  /** Name of this store, bound to each value with its key: no value opens in a store of another name. Never change it. */
  readonly storeId: string;
  /** Whether closing closes the store inside; default true. */
  readonly closeInner?: boolean;
}

const RULES: OptionRules = {
  seal: {
    expected: 'a seal, such as seal({ compress: gzip() })',
    accepts: (v) => {
      const { freeze, thaw } = (v ?? {}) as Partial<Seal>;
      return typeof freeze === 'function' && typeof thaw === 'function';
    },
  },
  storeId: is.text,
  closeInner: is.boolean,
};

/**
 * A store of bytes whose values are compressed, encrypted, or both, in the store inside. Versions,
 * revisions, conditions, expiry, metadata and feed are those of the store inside. Keys, metadata,
 * times and about the lengths of values are not hidden. Replication moves the opened values, which
 * the other side may seal for itself. There is no synchronous view. A group of any size that
 * `sync` copies here is held in memory until it is one commit.
 *
 * An immutable value that is written again costs a read first, as it is never sealed to the same
 * bytes twice.
 *
 * Errors: `corrupt`, naming the key, for what does not open; `invalid-argument` for a value that is
 * too large, before anything of its batch is applied; what `seal` says.
 *
 * ```ts
 * const store = sealed(file({ path: './data' }), {
 *   seal: seal({ compress: gzip(), keys: { '2026': key } }),
 *   storeId: 'users',
 * });
 * ```
 */
export function sealed(store: Store<Uint8Array>, options: SealedOptions): Store<Uint8Array> {
  checkOptions('sealed', options, RULES, ['seal', 'storeId']);
  const inner = primitivesOf(store, 'sealed');
  const { seal, storeId, closeInner } = options;
  return defineStore({
    ...withSeal(inner, seal, storeId),
    shape: {
      type: 'sealed',
      details: { storeId, ...(seal.name !== undefined && { seal: seal.name }) },
      parts: { inner: inner.shape },
    },
    close: async () => {
      if (closeInner !== false) await store.close();
    },
  });
}
