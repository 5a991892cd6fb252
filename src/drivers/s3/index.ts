import type { S3Client } from '@aws-sdk/client-s3';
import { itemStore } from '../../kernel/items/item-store.ts';
import type { Durability } from '../../store/capabilities.ts';
import type { Codec } from '../../store/codec.ts';
import { defineStore } from '../../store/define-store.ts';
import type { Env } from '../../store/env.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { Primitives } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { withCodec } from '../../store/with-codec.ts';
import { Objects } from './objects.ts';
import { Opening } from './opening.ts';
import { Reader } from './reader.ts';
import { Requests } from './requests.ts';

/** Options of `s3`, beside the codec. */
export interface S3Options {
  /** A client of `@aws-sdk/client-s3`, set up for the endpoint. It is used, and not closed. */
  readonly client: S3Client;
  /** The bucket's name. */
  readonly bucket: string;
  /**
   * Names the store within the bucket: its objects are named `prefix/…`. Letters, digits and `. _ -`,
   * in parts between slashes, 128 characters at most; default `strata`.
   */
  readonly prefix?: string;
  /** Makes the bucket where it is missing; default false: calls then fail with `unavailable`. */
  readonly create?: boolean;
  /**
   * `'all'`: writes are conditional, so that any number of processes share the store and none undoes
   * what it has not seen; the first write makes sure that the endpoint heeds conditions. `'none'`: for
   * endpoints that do not; then one process at a time may write. Default `'all'`.
   */
  readonly conditional?: 'all' | 'none';
  /** What a write survives that the endpoint has acknowledged, told as `capabilities.durability`; default `disk`. */
  readonly durability?: Durability;
  /** Bound of calls that name none, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; default the real ones. */
  readonly env?: Env;
}

/** All of a value is in memory when it is written and when it is read. */
const MAX_VALUE_BYTES: number = 2 ** 30;
const MAX_PREFIX = 128;
const PREFIX = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

const RULES: OptionRules = {
  client: {
    expected: 'a client of @aws-sdk/client-s3',
    accepts: (v) => typeof (v as { send?: unknown } | null)?.send === 'function',
  },
  bucket: is.text,
  prefix: {
    expected: `one to ${MAX_PREFIX} letters, digits and . _ - in parts between slashes, none of which begins with a dot`,
    accepts: (v) => typeof v === 'string' && v.length <= MAX_PREFIX && PREFIX.test(v),
  },
  create: is.boolean,
  conditional: is.oneOf('all', 'none'),
  codec: is.codec,
  durability: is.oneOf('memory', 'os', 'disk', 'quorum'),
  timeoutMs: is.durationMs,
  env: is.object,
};

/**
 * A store in a bucket of any endpoint that speaks the protocol of S3, one object a key: conditional
 * writes, expiry and metadata; each write of a batch stands alone (`atomic` is `'key'`), and there
 * is no feed (`watchable` gives one). Any number of processes share it. Opened by the first call.
 *
 * Errors: `unavailable` naming a bucket that is missing, or when the endpoint cannot be reached;
 * `denied` for wrong credentials; `unsupported` at the first write where the endpoint does not heed
 * conditions; `overloaded` when it, or the store, has too much to do; `unknown-outcome` when the
 * answer to a write is lost; `corrupt` for a damaged object. A batch that fails in its midst names
 * the keys that were written in `details.applied`.
 *
 * ```ts
 * const client = new S3Client({ region: 'eu-central-1' });
 * const store = s3({ client, bucket: 'data', prefix: 'users', codec: json<User>() });
 * ```
 */
export function s3<V>(options: S3Options & { readonly codec: Codec<V> }): Store<V>;
export function s3(options: S3Options): Store<Uint8Array>;
export function s3<V>(
  options: S3Options & { readonly codec?: Codec<V> },
): Store<V> | Store<Uint8Array> {
  checkOptions('s3', options, RULES, ['client', 'bucket']);
  const primitives = toPrimitives(options);
  const { codec } = options;
  return codec === undefined ? defineStore(primitives) : defineStore(withCodec(primitives, codec));
}

function toPrimitives(options: S3Options): Primitives<Uint8Array> {
  const { client, bucket: name, prefix = 'strata', conditional = 'all', timeoutMs } = options;
  const { create = false, durability = 'disk', env = systemEnv } = options;
  const requests = new Requests(client, name, `${prefix}/`);
  const opening = new Opening(requests, { env, create, conditional: conditional === 'all' });
  const reader = new Reader(requests, opening, env);
  return itemStore({
    shape: { type: 's3', details: { bucket: name, prefix } },
    reader,
    port: new Objects({ requests, opening, reader, env }),
    env,
    durability,
    conditional,
    maxValueBytes: MAX_VALUE_BYTES,
    timeoutMs,
  });
}
