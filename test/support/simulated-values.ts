/** What the stores of the simulation hold, and what of it a copy must have, for each kind of scope. */
import type { BatchWrite } from '../../src/store/operations.ts';
import type { PublishOptions } from '../../src/sync/index.ts';
import { bytes, words } from './bytes.ts';

export type Kind = 'whole' | 'where' | 'walk';
export const KINDS: readonly Kind[] = ['whole', 'where', 'walk'];
export const KEYS = 12;

/** Contents by key, as text. */
export type State = ReadonlyMap<string, string>;

export const keyOf = (n: number): string => `key ${n}`;

interface Page {
  readonly n: number;
  readonly links: readonly string[];
}

const numberOf = (text: string): number => Number.parseInt(text, 10);
const linksOf = (text: string): readonly string[] =>
  text.startsWith('{') ? (JSON.parse(text) as Page).links : [];

/** Publishes what a kind of copy has, under a name that survives the server. */
export function publishedAs(kind: Kind): PublishOptions<Uint8Array> {
  if (kind === 'where')
    return { scope: 'even', where: ({ value }) => numberOf(words(value) ?? '') % 2 === 0 };
  if (kind === 'walk')
    return {
      scope: 'reached',
      walk: { roots: [keyOf(0)], walker: (_, value) => linksOf(words(value) ?? '') },
    };
  return {};
}

/**
 * What a copy shows of a state of the source, as one text. What is no longer reached stays in a copy
 * of a walk until it sweeps, so there only what is reached counts; what is pointed to and not there
 * makes a text that no source has.
 */
export function seenOf(kind: Kind, prefix: string, state: State): string {
  const shown = kind === 'walk' ? reached(state) : [...state];
  return shown
    .filter(([key, text]) => key.startsWith(prefix) && (kind !== 'where' || isEven(text)))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, text]) => `${key}=${text}`)
    .join(';');
}

const isEven = (text: string): boolean => numberOf(text) % 2 === 0;

function reached(state: State): [string, string][] {
  const found = new Map<string, string>();
  const visit = (key: string, isRoot: boolean): void => {
    const text = state.get(key);
    if (found.has(key) || (text === undefined && isRoot)) return;
    found.set(key, text ?? 'missing');
    for (const link of linksOf(text ?? '')) visit(link, false);
  };
  visit(keyOf(0), true);
  return [...found];
}

/** A value; pages of a walk point only to keys that are there and come later. */
export function valueFor(
  kind: Kind,
  n: number,
  note: string,
  links: readonly string[],
): Uint8Array {
  return bytes(kind === 'walk' ? JSON.stringify({ n, note, links }) : `${n}${note}`);
}

/** The number of a value that came through a subscriber. */
export function remoteNumber(text: string): number | undefined {
  if (!text.includes('remote')) return undefined;
  return text.startsWith('{') ? (JSON.parse(text) as Page).n : numberOf(text);
}

/** Writes to some keys at once; in a walk each points to those of `wanted` that it may point to. */
export function writesTo(
  kind: Kind,
  state: State,
  keys: readonly number[],
  wanted: readonly number[],
  next: () => number,
  note: string,
): BatchWrite<Uint8Array>[] {
  const there = new Set(state.keys());
  // Those pointed to first.
  return [...new Set(keys)]
    .sort((a, b) => b - a)
    .map((key) => {
      const links = wanted.filter((to) => to > key && there.has(keyOf(to))).map(keyOf);
      there.add(keyOf(key));
      return { type: 'set', key: keyOf(key), value: valueFor(kind, next(), note, links) };
    });
}

/** Whether a key may go: nothing may point to what is not there. */
export function mayDelete(kind: Kind, state: State, key: string): boolean {
  return kind !== 'walk' || ![...state.values()].some((text) => linksOf(text).includes(key));
}
