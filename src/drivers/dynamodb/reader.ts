import type { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { compareKeys, inRange, type KeyRange } from '../../store/keys.ts';
import { type Attributes, HEAD_ATTRIBUTES, keyBytes, keyOf, StoredHead } from './item.ts';
import { merge } from './merge.ts';
import type { Opening } from './opening.ts';
import type { Requests, ShardQuery } from './requests.ts';

/** No key is longer, so that of a longer bound no more is needed. */
const BOUND_BYTES = 1_024;
/** The engine looks at so many items for a page, at most. */
const PAGE_ITEMS = 1_000;

/** An item of a range, with its key. */
interface Listed {
  readonly key: string;
  readonly item: Attributes;
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
    const layout = await this.#opening.forReading();
    if (layout === undefined) return undefined;
    const item = await this.#requests.get(layout.keyOf(key), call, key);
    return item && this.#entryOf(key, item);
  }

  async readMany(keys: readonly string[], call: Call): Promise<(Entry<Uint8Array> | undefined)[]> {
    const layout = await this.#opening.forReading();
    if (layout === undefined) return keys.map(() => undefined);
    const places = [...new Set(keys)].map((key) => layout.keyOf(key));
    const found = new Map<string, Attributes>();
    for (const item of await this.#requests.getMany(places, call, false)) {
      const key = keyOf(item);
      if (key !== undefined) found.set(key, item);
    }
    return keys.map((key) => {
      const item = found.get(key);
      return item && this.#entryOf(key, item);
    });
  }

  async *scan(range: KeyRange, call: Call): AsyncGenerator<Entry<Uint8Array>[]> {
    let left = range.limit;
    for await (const page of this.#listed(range, call, false)) {
      const entries: Entry<Uint8Array>[] = [];
      for (const { key, item } of page) {
        if (entries.length >= left) break;
        const entry = this.#entryOf(key, item);
        if (entry !== undefined) entries.push(entry);
      }
      left -= entries.length;
      yield entries;
      if (left <= 0) return;
    }
  }

  async *scanKeys(range: KeyRange, call: Call): AsyncGenerator<string[]> {
    let left = range.limit;
    for await (const page of this.#listed(range, call, true)) {
      const nowMs = this.#env.now();
      const live = page.filter(({ key, item }) => new StoredHead(key, item).isLive(nowMs));
      const keys = live.slice(0, Math.min(left, live.length)).map(({ key }) => key);
      left -= keys.length;
      yield keys;
      if (left <= 0) return;
    }
  }

  #entryOf(key: string, item: Attributes): Entry<Uint8Array> | undefined {
    const head = new StoredHead(key, item);
    if (!head.isLive(this.#env.now())) return undefined;
    // A copy: what the client gives may be a part of a larger buffer.
    return { ...head.entryHead(), value: new Uint8Array(head.value(item)) };
  }

  /** The items of a range, those of expired entries included. */
  async *#listed(range: KeyRange, call: Call, heads: boolean): AsyncGenerator<readonly Listed[]> {
    if (range.limit <= 0 || isEmpty(range)) return;
    const layout = await this.#opening.forReading();
    if (layout === undefined) return;
    const sign = range.reverse ? -1 : 1;
    yield* merge(
      layout.shards.map((shard) => this.#shard(shard, range, call, heads)),
      (a, b) => sign * compareKeys(a.key, b.key) < 0,
    );
  }

  async *#shard(
    shard: string,
    range: KeyRange,
    call: Call,
    heads: boolean,
  ): AsyncGenerator<Listed[]> {
    const query: ShardQuery = {
      ...boundsOf(shard, range),
      ScanIndexForward: !range.reverse,
      Limit: Math.min(range.limit, PAGE_ITEMS),
      ...(heads && { ProjectionExpression: HEAD_ATTRIBUTES }),
    };
    let from: Attributes | undefined;
    do {
      const next: ShardQuery = { ...query, ...(from && { ExclusiveStartKey: from }) };
      const page = await this.#requests.query(next, call);
      const listed: Listed[] = [];
      for (const item of page.items) {
        const key = keyOf(item);
        if (key !== undefined && inRange(key, range)) listed.push({ key, item });
      }
      yield listed;
      from = page.next;
    } while (from !== undefined);
  }
}

/** Whether no key can lie in it: the engine refuses such a range. */
function isEmpty({ lower, upper }: KeyRange): boolean {
  if (upper === undefined) return false;
  if (upper.key === '') return true;
  return lower !== undefined && compareKeys(lower.key, upper.key) > 0;
}

/** Both bounds included: what is at them is looked at once more. */
function boundsOf(shard: string, { lower, upper }: KeyRange): ShardQuery {
  const values: Attributes = { ':p': { S: shard } };
  if (lower !== undefined && lower.key !== '') values[':a'] = { B: bound(lower.key) };
  if (upper !== undefined) values[':z'] = { B: bound(upper.key) };
  let condition = 'p = :p';
  if (':a' in values && ':z' in values) condition += ' AND k BETWEEN :a AND :z';
  else if (':a' in values) condition += ' AND k >= :a';
  else if (':z' in values) condition += ' AND k <= :z';
  return { KeyConditionExpression: condition, ExpressionAttributeValues: values };
}

function bound(key: string): Uint8Array {
  return keyBytes(key).subarray(0, BOUND_BYTES);
}
