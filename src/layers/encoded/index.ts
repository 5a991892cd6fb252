import type { Codec } from '../../store/codec.ts';
import { defineStore } from '../../store/define-store.ts';
import { invalidArgument } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { Store, StoreWithBlocking } from '../../store/store.ts';
import { withCodec } from '../../store/with-codec.ts';
import type { StandardSchema } from './standard-schema.ts';
import { withSchema } from './with-schema.ts';

export type { SchemaIssue, SchemaResult, StandardSchema } from './standard-schema.ts';

/** Options of `encoded`. */
export interface EncodedOptions<V> {
  /** `json()`, `text()`, `raw()`, `messagePack(await import('msgpackr'))`, or one of your own. */
  readonly codec: Codec<V>;
  /** Validates every value before it is written, by any Standard Schema; what the schema gives is stored. */
  readonly schema?: StandardSchema<V>;
  /** Validates what is read too, and fails with `corrupt` where it does not match; default false. */
  readonly validateReads?: boolean;
  /** Whether closing closes the store inside; default true. */
  readonly closeInner?: boolean;
}

const isSchema = (value: unknown): boolean =>
  typeof (value as Partial<StandardSchema<unknown>> | null)?.['~standard']?.validate === 'function';

const RULES: OptionRules = {
  codec: is.codec,
  schema: { expected: 'a Standard Schema', accepts: isSchema },
  validateReads: is.boolean,
  closeInner: is.boolean,
};

/**
 * A store of bytes as a store of values. Versions, revisions, expiry, metadata, feed and blocking
 * view are those of the store inside, and replication moves its bytes undecoded.
 *
 * Errors: `invalid-argument` for a value that the codec or the schema refuses (`details.issues` has
 * every path and message), before anything of its batch is applied; `corrupt` for bytes that the
 * codec cannot read. With an asynchronous schema the blocking view fails with `unsupported`.
 *
 * ```ts
 * const users = encoded(bytes, { codec: json<User>(), schema: User });
 * ```
 */
export function encoded<V>(
  store: StoreWithBlocking<Uint8Array>,
  options: EncodedOptions<V>,
): StoreWithBlocking<V>;
export function encoded<V>(store: Store<Uint8Array>, options: EncodedOptions<V>): Store<V>;
export function encoded<V>(store: Store<Uint8Array>, options: EncodedOptions<V>): Store<V> {
  checkOptions('encoded', options, RULES, ['codec']);
  const { codec, schema, validateReads = false } = options;
  if (validateReads && schema === undefined)
    throw invalidArgument('encoded', 'the option schema', schema, 'one, to validate reads by');
  const inner = primitivesOf(store, 'encoded');
  const coded = withCodec(inner, codec);
  const copy = (value: V): V => codec.decode(codec.encode(value));
  const checked = schema === undefined ? coded : withSchema(coded, { schema, validateReads, copy });
  return defineStore({
    ...checked,
    shape: {
      type: 'encoded',
      details: { codec: codec.name, ...(schema && { schema: schema['~standard'].vendor }) },
      parts: { inner: inner.shape },
    },
    close: async () => {
      if (options.closeInner !== false) await store.close();
    },
  });
}
