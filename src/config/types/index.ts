import type { Definitions } from '../definitions.ts';
import { replica, tiered } from './compositions.ts';
import { file, indexeddb, lmdb, memory, sqlite } from './drivers.ts';
import { dynamodb } from './dynamodb.ts';
import { bounded, encoded, observed, prefixed, readonly, watchable } from './layers.ts';
import { redis } from './redis.ts';
import { s3 } from './s3.ts';
import { sealed } from './sealed.ts';
import type { TypeSpec } from './type-spec.ts';

/** Every type of store that a configuration can name. What is said of them elsewhere comes from here. */
export const TYPES: { readonly [Name in keyof Definitions]: TypeSpec<Definitions[Name]> } = {
  memory,
  lmdb,
  sqlite,
  file,
  redis,
  s3,
  dynamodb,
  indexeddb,
  readonly,
  encoded,
  prefixed,
  observed,
  bounded,
  watchable,
  sealed,
  tiered,
  replica,
};

export const TYPE_NAMES: readonly string[] = Object.keys(TYPES);

/** The type of a name, or `undefined`. */
export function typeOf(name: string): TypeSpec | undefined {
  return Object.hasOwn(TYPES, name) ? TYPES[name as keyof Definitions] : undefined;
}
