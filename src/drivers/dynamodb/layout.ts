import { crc32 } from '../../store/checksum.ts';
import { keyBytes } from './item.ts';
import type { Key } from './requests.ts';

/** Where the entries of a store lie: spread by their keys over the shards of its prefix. */
export class Layout {
  readonly shards: readonly string[];

  constructor(prefix: string, shards: number) {
    // No prefix has a slash, so that no shard is the place of another store's settings.
    this.shards = Array.from({ length: shards }, (_, nth) => `${prefix}/${nth}`);
  }

  /** The place of an entry. */
  keyOf(key: string): Key {
    const bytes = keyBytes(key);
    return { p: { S: this.shards[crc32(bytes) % this.shards.length] as string }, k: { B: bytes } };
  }
}

/** The place of a store's settings. */
export function settingsKey(prefix: string): Key {
  return { p: { S: prefix }, k: { B: new Uint8Array([0]) } };
}
