import type { IndexPlace } from '../../store/feed/plan.ts';
import { utf8Length } from '../../store/keys.ts';
import { readUint48 } from '../../store/version.ts';
import { PLACE_BYTES, placeBytes, writePlace } from './places.ts';

/*
 * The change index is kept in pages: each a run of changes in the order of their places, stored
 * under the place of its last. Writing it costs one record a transaction instead of one a key.
 *
 *   revision u48, position u32, length of the key u16, the key in UTF-8; and so on
 *
 * Whether a change is a set or a delete, and whether it is still its key's last, is not said here:
 * the entry, or what is remembered of its deletion, has the place of the key's last change.
 */
const HEAD_BYTES: number = PLACE_BYTES + 2;
const PAGE_BYTES: number = 16 * 1024;

/** A change as the index names it. */
export interface IndexedChange extends IndexPlace {
  readonly key: string;
}

/** A page as it is stored. */
export interface StoredPage {
  /** The place of its last change. */
  readonly key: Buffer;
  readonly bytes: Buffer;
}

/** Packs changes, which come in the order of their places, into pages. */
export function packChanges(changes: readonly IndexedChange[]): StoredPage[] {
  const pages: StoredPage[] = [];
  for (let from = 0; from < changes.length; ) {
    let size = 0;
    let to = from;
    for (; to < changes.length && size < PAGE_BYTES; to++)
      size += HEAD_BYTES + utf8Length((changes[to] as IndexedChange).key);
    const bytes = Buffer.allocUnsafe(size);
    let at = 0;
    for (; from < to; from++) {
      const { rev, pos, key } = changes[from] as IndexedChange;
      const length = bytes.write(key, at + HEAD_BYTES);
      writePlace(rev, pos, bytes, at);
      bytes.writeUInt16BE(length, at + PLACE_BYTES);
      at += HEAD_BYTES + length;
    }
    pages.push({ key: placeBytes(changes[to - 1] as IndexedChange), bytes });
  }
  return pages;
}

/** Joins what is left of pages into full ones; `key` is that of the last page a part comes from. */
export class PageMerger {
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #key: Buffer | undefined;
  readonly pages: StoredPage[] = [];

  add(key: Buffer, parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      this.#bytes += part.length;
      this.#parts.push(part);
    }
    if (this.#parts.length > 0) this.#key = key;
    if (this.#bytes >= PAGE_BYTES) this.finish();
  }

  finish(): void {
    if (this.#key !== undefined)
      this.pages.push({ key: this.#key, bytes: Buffer.concat(this.#parts) });
    this.#parts = [];
    this.#bytes = 0;
    this.#key = undefined;
  }
}

/** Walks the changes of a page. */
export class PageCursor implements IndexPlace {
  readonly #bytes: Buffer;
  #at = 0;
  #next = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Goes to the next change; false at the end. A page cut short ends there. */
  next(): boolean {
    this.#at = this.#next;
    if (this.#at + HEAD_BYTES > this.#bytes.length) return false;
    this.#next = this.#at + HEAD_BYTES + this.#bytes.readUInt16BE(this.#at + PLACE_BYTES);
    return this.#next <= this.#bytes.length;
  }

  get rev(): number {
    return readUint48(this.#bytes, this.#at);
  }

  get pos(): number {
    return this.#bytes.readUInt32BE(this.#at + 6);
  }

  get key(): string {
    return this.#bytes.toString('utf8', this.#at + HEAD_BYTES, this.#next);
  }

  /** Where the change stands in the page. */
  get start(): number {
    return this.#at;
  }

  get end(): number {
    return this.#next;
  }
}
