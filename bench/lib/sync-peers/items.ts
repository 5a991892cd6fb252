import { makeKey } from '../sample-data.ts';
import type { Item } from './peer.ts';

/** The value of a key in one version, all of it ASCII, since not every peer takes bytes. No two are alike. */
export function makeItem(i: number, version: number, bytes: number): Item {
  const text = `${i} ${version} `.padEnd(
    bytes,
    String.fromCharCode(97 + ((i * 31 + version) % 26)),
  );
  return { key: makeKey(i), text, bytes: new TextEncoder().encode(text) };
}

export function makeItems(first: number, count: number, version: number, bytes: number): Item[] {
  return Array.from({ length: count }, (_, at) => makeItem(first + at, version, bytes));
}

/** Which keys there are, and in which version. */
export interface Expected {
  readonly keys: number;
  readonly bytes: number;
  readonly version: number;
  /** The first so many keys are in another version … */
  readonly changed?: number;
  /** … which is this. */
  readonly changedVersion?: number;
}

/** What a copy should hold. */
export function expectedTexts(expected: Expected): ReadonlyMap<string, string> {
  const { keys, bytes, version, changed = 0, changedVersion = version } = expected;
  const texts = new Map<string, string>();
  for (let i = 0; i < keys; i++) {
    const { key, text } = makeItem(i, i < changed ? changedVersion : version, bytes);
    texts.set(key, text);
  }
  return texts;
}

/** Throws unless a copy holds exactly these. */
export function verifyEntries(
  entries: Iterable<readonly [string, string]>,
  texts: ReadonlyMap<string, string>,
): void {
  let held = 0;
  for (const [key, text] of entries) {
    if (texts.get(key) !== text) throw new Error(`${key} has another value`);
    held++;
  }
  if (held !== texts.size) throw new Error(`${held} keys instead of ${texts.size}`);
}
