import type { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import type { KeyRange } from '../../store/keys.ts';
import type { RedisEngine } from './engine.ts';
import { Lookups } from './lookups.ts';
import { copyOf, entryOf, isExpired, isTombstone, keyOf, nameOf, openEnvelope } from './records.ts';
import { SCRIPTS } from './script.ts';

const PAGE_KEYS = 256;
/** Keys alone are small. */
const PAGE_KEYS_ONLY = 2_000;
const PAGE_BYTES = 1024 * 1024;

interface Page {
  /** The name after which the next page begins; absent at the end. */
  readonly last: string | undefined;
  readonly keys: readonly string[];
  readonly heads: readonly unknown[];
  readonly envelopes: readonly unknown[];
}

/** Reads entries: single ones, many, and in key order. */
export class Reader {
  readonly #engine: RedisEngine;
  readonly #values: Lookups<Uint8Array | undefined>;
  readonly #entries: Lookups<Entry<Uint8Array> | undefined>;

  constructor(engine: RedisEngine) {
    this.#engine = engine;
    this.#values = new Lookups(engine, {
      fields: (key) => [`v${nameOf(key)}`],
      decode: (key, [envelope], nowMs) => {
        if (envelope === null) return undefined;
        const { expiresAt, value } = openEnvelope(key, envelope);
        return expiresAt !== undefined && expiresAt <= nowMs ? undefined : copyOf(value);
      },
    });
    this.#entries = new Lookups(engine, {
      fields: (key) => [nameOf(key), `v${nameOf(key)}`],
      decode: (key, [head, envelope], nowMs) => living(key, head, envelope, nowMs),
    });
  }

  readValue(key: string, call: Call): Promise<Uint8Array | undefined> {
    return this.#values.read(key, call);
  }

  readOne(key: string, call: Call): Promise<Entry<Uint8Array> | undefined> {
    return this.#entries.read(key, call);
  }

  readMany(
    keys: readonly string[],
    call: Call,
  ): Promise<readonly (Entry<Uint8Array> | undefined)[]> {
    return Promise.all(keys.map((key) => this.#entries.read(key, call)));
  }

  async *scan(range: KeyRange, call: Call): AsyncGenerator<readonly Entry<Uint8Array>[]> {
    let { limit } = range;
    for await (const page of this.#pages(range, call, false)) {
      const nowMs = this.#engine.env.now();
      const entries: Entry<Uint8Array>[] = [];
      for (let i = 0; i < page.keys.length && limit > 0; i++) {
        const entry = living(page.keys[i] as string, page.heads[i], page.envelopes[i], nowMs);
        if (entry === undefined) continue;
        entries.push(entry);
        limit--;
      }
      yield entries;
      if (limit === 0) return;
    }
  }

  async *scanKeys(range: KeyRange, call: Call): AsyncGenerator<readonly string[]> {
    let { limit } = range;
    for await (const { keys } of this.#pages(range, call, true)) {
      const some = keys.length > limit ? keys.slice(0, limit) : keys;
      limit -= some.length;
      yield some;
      if (limit === 0) return;
    }
  }

  async *#pages(range: KeyRange, call: Call, keysOnly: boolean): AsyncGenerator<Page> {
    if (range.limit === 0) return;
    const most = keysOnly ? PAGE_KEYS_ONLY : PAGE_KEYS;
    const count = String(Math.min(most, range.limit));
    let lower = bound(range.lower, `[${nameOf('')}`);
    let upper = bound(range.upper, '+');
    for (;;) {
      const nowMs = String(this.#engine.env.now());
      const direction = range.reverse ? '1' : '0';
      const args = [
        lower,
        upper,
        direction,
        count,
        String(PAGE_BYTES),
        nowMs,
        keysOnly ? '1' : '0',
      ];
      const page = toPage(await this.#engine.run(SCRIPTS.scan, args, call));
      yield page;
      if (page.last === undefined) return;
      if (range.reverse) upper = `(${page.last}`;
      else lower = `(${page.last}`;
    }
  }
}

function bound(given: KeyRange['lower'], none: string): string {
  return given === undefined ? none : `${given.inclusive ? '[' : '('}${nameOf(given.key)}`;
}

function toPage(reply: readonly unknown[]): Page {
  const [last, names, heads = [], envelopes = []] = reply as [unknown, ...unknown[][]];
  const from = String(last);
  return {
    last: from === '' ? undefined : from,
    keys: (names as unknown[]).map(keyOf),
    heads,
    envelopes,
  };
}

/** The entry of a key, unless there is none, or it was deleted or has expired. */
function living(
  key: string,
  head: unknown,
  envelope: unknown,
  nowMs: number,
): Entry<Uint8Array> | undefined {
  if ((head === null && envelope === null) || isTombstone(head)) return undefined;
  const entry = entryOf(key, head, envelope);
  return isExpired(entry, nowMs) ? undefined : entry;
}
