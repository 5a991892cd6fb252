import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
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
import { Opening } from './opening.ts';
import { Reader } from './reader.ts';
import { Requests } from './requests.ts';
import { Rows } from './rows.ts';

/** Options of `dynamodb`, beside the codec. */
export interface DynamoDbOptions {
  /** A client of `@aws-sdk/client-dynamodb`, set up for the region or endpoint. It is used, and not closed. */
  readonly client: DynamoDBClient;
  /** The table's name. Its key is `p`, a string (hash), and `k`, binary (range). */
  readonly table: string;
  /**
   * Names the store within the table, which several may share. Letters, digits and `. _ -`,
   * 128 characters at most; default `strata`.
   */
  readonly prefix?: string;
  /**
   * Over so many shards the keys are spread, 1 to 64. A store keeps those that it was begun with:
   * another number is then refused. Default what the store has, and 1 for a new one.
   */
  readonly shards?: number;
  /** Makes the table where it is missing, billed by request; default false: calls then fail with `unavailable`. */
  readonly create?: boolean;
  /** What a write survives that the endpoint has acknowledged, told as `capabilities.durability`; default `disk`. */
  readonly durability?: Durability;
  /** Bound of calls that name none, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; default the real ones. */
  readonly env?: Env;
}

/** An item has 400 KiB at most, of which metadata may take 16, and key and stamps the rest. */
const MAX_VALUE_BYTES: number = 382 * 1024;
const MAX_SHARDS = 64;

const RULES: OptionRules = {
  client: {
    expected: 'a client of @aws-sdk/client-dynamodb',
    accepts: (v) => typeof (v as { send?: unknown } | null)?.send === 'function',
  },
  table: is.text,
  prefix: {
    expected: 'one to 128 letters, digits and . _ -',
    accepts: (v) => typeof v === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(v),
  },
  shards: {
    expected: `a whole number from 1 to ${MAX_SHARDS}`,
    accepts: (v) => is.positive.accepts(v) && (v as number) <= MAX_SHARDS,
  },
  create: is.boolean,
  codec: is.codec,
  durability: is.oneOf('memory', 'os', 'disk', 'quorum'),
  timeoutMs: is.durationMs,
  env: is.object,
};

/**
 * A store in a table of DynamoDB, one item a key: conditional writes, expiry and metadata; each
 * write of a batch stands alone (`atomic` is `'key'`), and there is no feed (`watchable` gives
 * one). Any number of processes share it. Opened by the first call. Reads are consistent.
 *
 * Errors: `unavailable` naming a table that is missing, or when the endpoint cannot be reached;
 * `denied` for wrong credentials or rights; `overloaded` when table or store have too much to do;
 * `invalid-argument` for a value of more than 382 KiB, before anything is changed, for a table of
 * another key, and for another number of shards than the store has; `unknown-outcome` when the
 * answer to a write is lost; `corrupt` for a damaged item. A batch that fails in its midst names
 * the keys that were written in `details.applied`.
 *
 * ```ts
 * const client = new DynamoDBClient({ region: 'eu-central-1' });
 * const store = dynamodb({ client, table: 'data', prefix: 'users', codec: json<User>() });
 * ```
 */
export function dynamodb<V>(options: DynamoDbOptions & { readonly codec: Codec<V> }): Store<V>;
export function dynamodb(options: DynamoDbOptions): Store<Uint8Array>;
export function dynamodb<V>(
  options: DynamoDbOptions & { readonly codec?: Codec<V> },
): Store<V> | Store<Uint8Array> {
  checkOptions('dynamodb', options, RULES, ['client', 'table']);
  const primitives = toPrimitives(options);
  const { codec } = options;
  return codec === undefined ? defineStore(primitives) : defineStore(withCodec(primitives, codec));
}

function toPrimitives(options: DynamoDbOptions): Primitives<Uint8Array> {
  const { client, table, prefix = 'strata', shards, create = false, timeoutMs } = options;
  const { durability = 'disk', env = systemEnv } = options;
  const requests = new Requests(client, table);
  const opening = new Opening(requests, { env, prefix, create, shards });
  const reader = new Reader(requests, opening, env);
  return itemStore({
    shape: { type: 'dynamodb', details: { table, prefix } },
    reader,
    port: new Rows(requests, opening),
    env,
    durability,
    conditional: 'all',
    maxValueBytes: MAX_VALUE_BYTES,
    timeoutMs,
  });
}
