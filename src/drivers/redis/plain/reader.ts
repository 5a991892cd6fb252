import { sideBySide } from '../../../kernel/side-by-side.ts';
import type { Call } from '../../../store/call.ts';
import type { Entry } from '../../../store/entry.ts';
import type { KeyRange } from '../../../store/keys.ts';
import { copyOf } from '../records.ts';
import { keyStretches } from './key-scan.ts';
import { PRESENT, READ } from './scripts.ts';
import { entriesOf, type Strings } from './strings.ts';

/** So many keys are read in one script. */
const READ_KEYS = 64;
/** A page of keys. */
const PAGE_KEYS = 1_000;
/** A page of entries holds about so much, by what the one before held. */
const PAGE_BYTES: number = 4 * 1024 * 1024;

type Found = Entry<Uint8Array> | undefined;

/** The reads of a store of plain strings. */
export class PlainReader {
  readonly #strings: Strings;
  readonly #maxKeyBytes: number;

  constructor(strings: Strings, maxKeyBytes: number) {
    this.#strings = strings;
    this.#maxKeyBytes = maxKeyBytes;
  }

  async readOne(key: string, call: Call): Promise<Found> {
    const [found] = await this.#read([key], call);
    return found;
  }

  async readValue(key: string, call: Call): Promise<Uint8Array | undefined> {
    const value = await this.#strings.ask(['GET', this.#strings.nameOf(key)], call);
    return value instanceof Uint8Array ? copyOf(value) : undefined;
  }

  async readMany(keys: readonly string[], call: Call): Promise<Found[]> {
    const found = await sideBySide(groupsOf(keys, READ_KEYS), (group) => this.#read(group, call));
    return found.flat();
  }

  async *scan(range: KeyRange, call: Call): AsyncGenerator<Entry<Uint8Array>[]> {
    let left = range.limit;
    if (left <= 0) return;
    let size = 16;
    for await (const keys of keyStretches(this.#strings, range, this.#maxKeyBytes, call))
      for (let at = 0; at < keys.length; ) {
        const group = keys.slice(at, at + Math.min(size, left));
        at += group.length;
        const page = (await this.#readStrings(group, call)).filter((entry) => entry !== undefined);
        const bytes = page.reduce((sum, { value }) => sum + value.length, 1);
        const fitting = Math.floor((PAGE_BYTES * group.length) / bytes);
        size = Math.max(1, Math.min(READ_KEYS, fitting));
        left -= page.length;
        yield page;
        if (left <= 0) return;
      }
  }

  async *scanKeys(range: KeyRange, call: Call): AsyncGenerator<string[]> {
    let left = range.limit;
    if (left <= 0) return;
    for await (const keys of keyStretches(this.#strings, range, this.#maxKeyBytes, call))
      for (const group of groupsOf(keys, PAGE_KEYS)) {
        const present = await this.#strings.run(PRESENT, group, call);
        const page = group.filter((_, nth) => Number(present[nth]) === 1);
        if (page.length > left) page.length = left;
        left -= page.length;
        yield page;
        if (left <= 0) return;
      }
  }

  async #read(keys: readonly string[], call: Call): Promise<Found[]> {
    return entriesOf(keys, await this.#strings.run(READ, keys, call), call.operation);
  }

  /** As `#read`; what has become something else meanwhile is none of ours. */
  async #readStrings(keys: readonly string[], call: Call): Promise<Found[]> {
    const reply = await this.#strings.run(READ, keys, call);
    const strings = reply.map((word, at) => (at % 2 === 1 && Number(word) < -2 ? -2 : word));
    return entriesOf(keys, strings, call.operation);
  }
}

function groupsOf(keys: readonly string[], size: number): (readonly string[])[] {
  const groups: (readonly string[])[] = [];
  for (let at = 0; at < keys.length; at += size) groups.push(keys.slice(at, at + size));
  return groups;
}
