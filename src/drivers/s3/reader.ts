import type { FoundItem } from '../../kernel/items/item-port.ts';
import { sideBySide } from '../../kernel/side-by-side.ts';
import type { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { compareKeys, inRange, type KeyRange } from '../../store/keys.ts';
import { justBefore, keyOf, nameOf } from './names.ts';
import type { Opening } from './opening.ts';
import { HEAD_BYTES, isDeletion, KIND, kindOf, ObjectHead } from './record.ts';
import type { ListFrom, Requests } from './requests.ts';

const PAGE_ENTRIES = 64;
/** A page ends early when its objects reach this. */
const PAGE_BYTES: number = 8 * 1024 * 1024;
/** Places that a backward listing remembers; of more, every other. */
const MOST_MARKS = 4_096;

/** What stands in a key's place; its tag is the one that the endpoint gave it. */
export type FoundObject = FoundItem<ObjectHead>;

/** A key as a listing has it. */
interface ListedKey {
  readonly key: string;
  readonly size: number;
}

/** The reads of a store: by key, and in the order of keys. */
export class Reader {
  readonly #requests: Requests;
  readonly #opening: Opening;
  readonly #env: Env;

  constructor(requests: Requests, opening: Opening, env: Env) {
    this.#requests = requests;
    this.#opening = opening;
    this.#env = env;
  }

  async readOne(key: string, call: Call): Promise<Entry<Uint8Array> | undefined> {
    await this.#opening.forReading();
    const found = await this.#requests.get(nameOf(key), call, key);
    if (found === undefined) return undefined;
    const head = ObjectHead.read(key, found.bytes, found.size) as ObjectHead;
    if (!head.isLive(this.#env.now())) return undefined;
    return { ...head.entryHead(), value: head.value(found.bytes) };
  }

  readMany(keys: readonly string[], call: Call): Promise<(Entry<Uint8Array> | undefined)[]> {
    return sideBySide(keys, (key) => this.readOne(key, call));
  }

  /** What stands in a key's place, without the value. */
  async find(key: string, call: Call): Promise<FoundObject | undefined> {
    for (let length = HEAD_BYTES; ; ) {
      const found = await this.#requests.get(nameOf(key), call, key, length);
      if (found === undefined) return undefined;
      const { bytes, size, etag } = found;
      const read = orDamage(() => ObjectHead.read(key, bytes, size));
      if (read instanceof StrataError) return { tag: etag, damage: read };
      if (typeof read !== 'number') return { tag: etag, head: read };
      length = read;
    }
  }

  /** As `find`, with the value. */
  async findWhole(key: string, call: Call): Promise<FoundObject | undefined> {
    const found = await this.#requests.get(nameOf(key), call, key);
    if (found === undefined) return undefined;
    const { bytes, size, etag } = found;
    const read = orDamage(() => {
      const head = ObjectHead.read(key, bytes, size) as ObjectHead;
      return { head, value: head.value(bytes) };
    });
    return read instanceof StrataError ? { tag: etag, damage: read } : { tag: etag, ...read };
  }

  async *scan(range: KeyRange, call: Call): AsyncGenerator<Entry<Uint8Array>[]> {
    let left = range.limit;
    for await (const listed of this.#listed(range, call)) {
      for (let at = 0; at < listed.length && left > 0; ) {
        const keys = pageOf(listed, at, left);
        at += keys.length;
        const entries = await this.readMany(keys, call);
        const page = entries.filter((entry) => entry !== undefined);
        left -= page.length;
        yield page;
      }
      if (left <= 0) return;
    }
  }

  async *scanKeys(range: KeyRange, call: Call): AsyncGenerator<string[]> {
    let left = range.limit;
    for await (const listed of this.#listed(range, call)) {
      const live = await sideBySide(listed, async ({ key, size }) => {
        if (kindOf(size) === KIND.lasting) return true;
        const found = await this.find(key, call);
        if (found?.damage !== undefined) throw found.damage;
        return found?.head?.isLive(this.#env.now()) === true;
      });
      const keys = listed.filter((_, at) => live[at]).map(({ key }) => key);
      const page = keys.length > left ? keys.slice(0, left) : keys;
      left -= page.length;
      yield page;
      if (left <= 0) return;
    }
  }

  /** The keys of a range in pages, those of expired entries included. */
  async *#listed(range: KeyRange, call: Call): AsyncGenerator<ListedKey[]> {
    if (range.limit <= 0) return;
    await this.#opening.forReading();
    if (!range.reverse) yield* this.#forward(range, call);
    else yield* this.#backward(range, call);
  }

  async *#forward(range: KeyRange, call: Call): AsyncGenerator<ListedKey[]> {
    const { lower, upper } = range;
    let from: ListFrom;
    if (lower !== undefined) {
      const name = nameOf(lower.key);
      const after = lower.inclusive ? justBefore(name) : name;
      if (after !== '') from = { after };
    }
    do {
      const { objects, next } = await this.#requests.list(from, call);
      const page: ListedKey[] = [];
      let ended = false;
      for (const { name, size } of objects) {
        const key = keyOf(name);
        if (key === undefined) continue;
        if (inRange(key, range)) {
          if (!isDeletion(key, size)) page.push({ key, size });
        } else if (upper !== undefined && compareKeys(key, upper.key) >= 0) ended = true;
      }
      if (page.length > 0) yield page;
      if (ended) return;
      from = next;
    } while (from !== undefined);
  }

  /** Endpoints list forward only: goes through the range once for marks, and then back from mark to mark. */
  async *#backward(range: KeyRange, call: Call): AsyncGenerator<ListedKey[]> {
    let marks: string[] = [];
    let last: ListedKey[] = [];
    for await (const page of this.#forward(range, call)) {
      if (last.length > 0) marks.push((last.at(-1) as ListedKey).key);
      // An odd number: the last one, after which the last page begins, stays.
      if (marks.length > MOST_MARKS) marks = marks.filter((_, at) => at % 2 === 0);
      last = page;
    }
    if (last.length > 0) yield last.reverse();
    while (marks.length > 0) {
      const upper = { key: marks.pop() as string, inclusive: true };
      const mark = marks.at(-1);
      const lower = mark === undefined ? range.lower : { key: mark, inclusive: false };
      const stretch: ListedKey[] = [];
      const part: KeyRange = { ...range, ...(lower && { lower }), upper };
      for await (const page of this.#forward(part, call)) stretch.push(...page);
      yield stretch.reverse();
    }
  }
}

function orDamage<T>(read: () => T): T | StrataError {
  try {
    return read();
  } catch (error) {
    if (error instanceof StrataError) return error;
    throw error;
  }
}

/** The next keys whose objects are read together. */
function pageOf(listed: readonly ListedKey[], from: number, limit: number): string[] {
  const keys: string[] = [];
  let bytes = 0;
  for (let at = from; at < listed.length; at++) {
    const { key, size } = listed[at] as ListedKey;
    bytes += size;
    const full = keys.length >= Math.min(PAGE_ENTRIES, limit) || bytes > PAGE_BYTES;
    if (full && keys.length > 0) break;
    keys.push(key);
  }
  return keys;
}
