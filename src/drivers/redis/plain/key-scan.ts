import type { Call } from '../../../store/call.ts';
import { compareKeys, inRange, type KeyRange } from '../../../store/keys.ts';
import type { Strings } from './strings.ts';

/** So many keys are held in memory, at most twice: of more, the server is gone through again. */
const MOST_HELD = 50_000;
/** More than are asked for, because some may be gone when they are read. */
const SPARE = 16;
/** The server looks at so many names in a step. */
const STEP = 1_000;

/** The first of the keys that pass by, in the order asked for. */
class FirstKeys {
  readonly #most: number;
  readonly #sign: number;
  #held: string[] = [];
  /** Nothing behind it is wanted. */
  #last: string | undefined;

  constructor(most: number, reverse: boolean) {
    this.#most = most;
    this.#sign = reverse ? -1 : 1;
  }

  add(key: string): void {
    if (this.#last !== undefined && this.#sign * compareKeys(key, this.#last) >= 0) return;
    if (this.#held.push(key) < 2 * this.#most) return;
    this.#held = this.take();
    if (this.#held.length === this.#most) this.#last = this.#held.at(-1);
  }

  /** In order, each once: the server may name one several times. */
  take(): string[] {
    const sorted = this.#held.sort((a, b) => this.#sign * compareKeys(a, b));
    return sorted.filter((key, at) => key !== sorted[at - 1]).slice(0, this.#most);
  }
}

/**
 * The keys of a range in order, in stretches that fit into memory. The server knows no order: each
 * stretch costs a way through all of its names.
 */
export async function* keyStretches(
  strings: Strings,
  range: KeyRange,
  maxKeyBytes: number,
  call: Call,
): AsyncGenerator<string[]> {
  const most = Math.min(MOST_HELD, range.limit + SPARE);
  for (let rest = range; ; ) {
    const first = new FirstKeys(most, range.reverse);
    for await (const names of scan(strings, call))
      for (const name of names) {
        const key = strings.keyOf(name, maxKeyBytes);
        if (key !== undefined && inRange(key, rest)) first.add(key);
      }
    const keys = first.take();
    if (keys.length > 0) yield keys;
    if (keys.length < most) return;
    const bound = { key: keys.at(-1) as string, inclusive: false };
    rest = range.reverse ? { ...range, upper: bound } : { ...range, lower: bound };
  }
}

/** The names of all strings under the prefix, in no order, some perhaps twice. */
async function* scan(strings: Strings, call: Call): AsyncGenerator<Buffer[]> {
  const pattern = `${strings.prefix.replace(/[\\*?[\]^-]/g, '\\$&')}*`;
  let cursor = '0';
  do {
    const words = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(STEP), 'TYPE', 'string'];
    const [next, names] = (await strings.ask(words, call)) as [unknown, Buffer[]];
    cursor = String(next);
    yield names;
  } while (cursor !== '0');
}
