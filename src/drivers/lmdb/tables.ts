import type { Database, RootDatabase, RootDatabaseOptions } from 'lmdb';

/**
 * The tables of a store, each a named database of one LMDB environment.
 *
 * | table | key | value |
 * |---|---|---|
 * | values | key | envelope |
 * | changes | place of the page's last change | page of the change index |
 * | deleted | key | place of its delete |
 * | tombstones | place of a delete | key |
 * | expiries | end of life, place | key |
 * | commits | last revision of a transaction | its first revision, time and id |
 * | meta | `store`, `head`, `epochs`, `openers` | see `meta.ts` and `head.ts` |
 *
 * A key stands in `values` or, once deleted, in `deleted`; either names the place of its last
 * change, and the change index holds each such place once.
 */
export interface Tables {
  readonly root: RootDatabase<Buffer, Buffer>;
  readonly values: Database<Buffer, string>;
  readonly changes: Database<Buffer, Buffer>;
  readonly deleted: Database<Buffer, string>;
  readonly tombstones: Database<Buffer, Buffer>;
  readonly expiries: Database<Buffer, Buffer>;
  readonly commits: Database<Buffer, Buffer>;
  readonly meta: Database<Buffer, string>;
}

/** Names of the tables, before which nothing of ours stands in an environment. */
export const TABLE_PREFIX = 'stratakv.';

/** Keys as UTF-8, which LMDB orders by their bytes. */
const keyEncoder = {
  writeKey(key: string, into: Buffer, offset: number): number {
    const { length } = key;
    if (length <= 32) {
      let i = 0;
      for (; i < length; i++) {
        const unit = key.charCodeAt(i);
        if (unit >= 0x80) break;
        into[offset + i] = unit;
      }
      if (i === length) return offset + length;
    }
    return offset + into.write(key, offset);
  },
  readKey: (from: Buffer, start: number, end: number): string => from.toString('utf8', start, end),
};

const STRING_KEYS: RootDatabaseOptions = { encoding: 'binary', keyEncoder };
const BINARY_KEYS: RootDatabaseOptions = { encoding: 'binary', keyEncoding: 'binary' };
const NOT_MADE = { create: false };
const VERSIONED: RootDatabaseOptions = { ...STRING_KEYS, useVersions: true };

/** Opens the tables; `undefined` when one is missing and may not be made. */
export function openTables(
  root: RootDatabase<Buffer, Buffer>,
  create: boolean,
): Tables | undefined {
  let whole = true;
  const table = <K extends string | Buffer>(
    name: string,
    options: RootDatabaseOptions,
  ): Database<Buffer, K> => {
    const opened = root.openDB<Buffer, K>(TABLE_PREFIX + name, {
      ...options,
      ...(!create && NOT_MADE),
    });
    whole &&= opened !== undefined;
    return opened;
  };
  const tables: Tables = {
    root,
    values: table<string>('values', STRING_KEYS),
    changes: table<Buffer>('changes', BINARY_KEYS),
    deleted: table<string>('deleted', STRING_KEYS),
    tombstones: table<Buffer>('tombstones', BINARY_KEYS),
    expiries: table<Buffer>('expiries', BINARY_KEYS),
    commits: table<Buffer>('commits', BINARY_KEYS),
    meta: table<string>('meta', VERSIONED),
  };
  return whole ? tables : undefined;
}

/** How many tables there are. */
export const TABLE_COUNT = 7;

/** The record of `meta` that every transaction rewrites. */
export const HEAD_KEY = 'head';
