import type { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import type { KeyRange } from '../../store/keys.ts';
import { compareKeys, inRange } from '../../store/keys.ts';
import type { Disk } from './disk.ts';
import { onDisk } from './file-errors.ts';
import { belongs, type Layout } from './layout.ts';
import { digitsOf, endNameOf, firstNameOf, isHashed, isName, keyOf, nameOf } from './names.ts';
import { HEAD_BYTES, RecordHead } from './record.ts';

const PAGE_KEYS = 256;
const PAGE_ENTRIES = 64;
/** A page ends early when its values reach this. */
const PAGE_BYTES: number = 1024 * 1024;

/** A name as a listing has it; the key of a hashed one is in its file only. */
interface Listed {
  readonly name: string;
  readonly key: string;
}

/** The reads of a store: by key, and in the order of keys. */
export class FileEngine {
  readonly layout: Layout;
  readonly #disk: Disk;
  readonly #nowMs: () => number;

  constructor(layout: Layout, nowMs: () => number) {
    this.layout = layout;
    this.#disk = layout.disk;
    this.#nowMs = nowMs;
  }

  readOne(operation: string, key: string): Entry<Uint8Array> | undefined {
    return onDisk(operation, () => this.#entry(key), key);
  }

  readValue(operation: string, key: string): Uint8Array | undefined {
    return onDisk(operation, () => this.#live(key)?.value, key);
  }

  readMany(operation: string, keys: readonly string[]): (Entry<Uint8Array> | undefined)[] {
    return keys.map((key) => this.readOne(operation, key));
  }

  /** What stands under a key, expired or not, without its value. */
  head(key: string): RecordHead | undefined {
    return this.#headOf(nameOf(key), key);
  }

  /** The range in pages, each read as it is given. */
  *scan(operation: string, range: KeyRange): Generator<Entry<Uint8Array>[]> {
    let page: Entry<Uint8Array>[] = [];
    let bytes = 0;
    for (const { key } of this.#keys(operation, range)) {
      const entry = this.readOne(operation, key);
      if (entry === undefined) continue;
      page.push(entry);
      bytes += entry.value.length;
      if (page.length < PAGE_ENTRIES && bytes < PAGE_BYTES) continue;
      yield page;
      page = [];
      bytes = 0;
    }
    if (page.length > 0) yield page;
  }

  *scanKeys(operation: string, range: KeyRange): Generator<string[]> {
    let page: string[] = [];
    for (const { name, key } of this.#keys(operation, range)) {
      const head = onDisk(operation, () => this.#headOf(name, key), key);
      if (head === undefined || this.isExpired(head)) continue;
      page.push(key);
      if (page.length < PAGE_KEYS) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }

  async *scanPages(range: KeyRange, call: Call): AsyncGenerator<Entry<Uint8Array>[]> {
    for (const page of limited(this.scan(call.operation, range), range.limit)) {
      call.throwIfEnded();
      yield page;
    }
  }

  async *scanKeyPages(range: KeyRange, call: Call): AsyncGenerator<string[]> {
    for (const page of limited(this.scanKeys(call.operation, range), range.limit)) {
      call.throwIfEnded();
      yield page;
    }
  }

  /** The next keys after one, in their order, those of expired entries included. */
  keysAfter(after: string | undefined, limit: number): string[] {
    const range: KeyRange = {
      ...(after !== undefined && { lower: { key: after, inclusive: false } }),
      reverse: false,
      limit,
    };
    const keys: string[] = [];
    for (const { key } of this.#keys('sweep', range)) if (keys.push(key) >= limit) break;
    return keys;
  }

  isExpired({ expiresAt }: { readonly expiresAt?: number | undefined }): boolean {
    return expiresAt !== undefined && expiresAt <= this.#nowMs();
  }

  #entry(key: string): Entry<Uint8Array> | undefined {
    const found = this.#live(key);
    return found && { ...found.head.entryHead(), value: found.value };
  }

  #live(key: string): { head: RecordHead; value: Uint8Array } | undefined {
    const name = nameOf(key);
    const file = this.#find(name, (path) => this.#disk.read(path));
    if (file === undefined) return undefined;
    const path = this.layout.pathOf(name);
    // With the whole file at hand a number never comes.
    const head = RecordHead.read(path, file, file.length, key) as RecordHead;
    return this.isExpired(head) ? undefined : { head, value: head.value(file) };
  }

  #headOf(name: string, key?: string): RecordHead | undefined {
    for (let length = HEAD_BYTES; ; ) {
      const start = this.#find(name, (path) => this.#disk.readStart(path, length));
      if (start === undefined) return undefined;
      const head = RecordHead.read(this.layout.pathOf(name), start.bytes, start.size, key);
      if (typeof head !== 'number') return head;
      length = head;
    }
  }

  /** Looks where a name belongs; a miss counts once the shards are known to be those. */
  #find<T>(name: string, read: (path: string) => T | undefined): T | undefined {
    for (;;) {
      const found = read(this.layout.pathOf(name));
      if (found !== undefined || !this.layout.refresh()) return found;
    }
  }

  /** Keys of a range in order, those of expired entries included; one shard's names are held at a time. */
  *#keys(operation: string, range: KeyRange): Generator<Listed> {
    const { lower, upper, reverse } = range;
    const from = lower === undefined ? '' : firstNameOf(lower.key);
    const end = upper === undefined ? undefined : endNameOf(upper.key);
    let at = reverse ? end : from;
    for (;;) {
      const { shard, names } = onDisk(operation, () => this.#list(at, reverse));
      const wanted = names.filter((name) => name >= from && (end === undefined || name < end));
      for (const listed of this.#inOrder(operation, wanted, reverse))
        if (inRange(listed.key, range)) yield listed;
      if (reverse) {
        if (shard.bound <= from) return;
        at = shard.bound;
      } else {
        if (shard.end === undefined || (end !== undefined && shard.end >= end)) return;
        at = shard.end;
      }
    }
  }

  /** The names of the shard at a place, or right below it. */
  #list(
    at: string | undefined,
    below: boolean,
  ): { shard: ReturnType<Layout['shardOf']>; names: string[] } {
    for (;;) {
      const shard = below ? this.layout.shardBelow(at) : this.layout.shardOf(at ?? '');
      const names = this.#disk.list(shard.path);
      // A shard that changed while it was read may have given half of its names.
      if (this.layout.refresh()) continue;
      const own = (names ?? []).filter(
        (name) =>
          isName(name) &&
          belongs(name, shard) &&
          (at === undefined || (below ? name < at : name >= at)),
      );
      return { shard, names: own };
    }
  }

  /** Names as keys, in their order. */
  *#inOrder(operation: string, names: string[], reverse: boolean): Generator<Listed> {
    names.sort();
    if (reverse) names.reverse();
    for (let at = 0; at < names.length; ) {
      const name = names[at] as string;
      if (!isHashed(name)) {
        at++;
        yield { name, key: keyOf(name) as string };
        continue;
      }
      const group: Listed[] = [];
      for (; at < names.length; at++) {
        const next = names[at] as string;
        if (!isHashed(next) || digitsOf(next) !== digitsOf(name)) break;
        const key = onDisk(operation, () => this.#headOf(next)?.key);
        if (key !== undefined) group.push({ name: next, key });
      }
      group.sort((a, b) => (reverse ? compareKeys(b.key, a.key) : compareKeys(a.key, b.key)));
      yield* group;
    }
  }
}

/** The first so many items of some pages. */
export function* limited<T>(pages: Iterable<T[]>, limit: number): Generator<T[]> {
  if (limit <= 0) return;
  let left = limit;
  for (const page of pages) {
    if (page.length >= left) {
      yield page.slice(0, left);
      return;
    }
    left -= page.length;
    yield page;
  }
}
