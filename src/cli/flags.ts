import { parseArgs } from 'node:util';
import { nearest } from '../kernel/nearest.ts';
import type { Meta } from '../store/entry.ts';
import { StrataError, show } from '../store/errors.ts';
import { parseDurationMs } from './duration.ts';

/** A switch, or a flag with a value that `parse` reads or refuses (with an `Error` that says what is expected). */
export type Flag<T> =
  | { readonly kind: 'switch'; readonly short?: string; readonly help: string }
  | {
      readonly kind: 'value';
      readonly short?: string;
      readonly help: string;
      /** Stands for the value in help. */
      readonly placeholder: string;
      /** Takes a value that begins with a dash, unless it is the name of a flag. */
      readonly opaque?: true;
      parse(text: string): T;
    };

/** The flags of a command, by name as typed after `--`. */
export type FlagTable = Readonly<Record<string, Flag<unknown>>>;

/** What was given, by name; a switch that was given is true. */
export type FlagValues<F extends FlagTable> = {
  readonly [K in keyof F]?: F[K] extends Flag<infer T> ? T : never;
};

export interface ParsedArguments<F extends FlagTable> {
  readonly flags: FlagValues<F>;
  readonly positionals: readonly string[];
}

/** Kinds of flags. */
export const flag: {
  on(help: string, short?: string): Flag<true>;
  text(placeholder: string, help: string): Flag<string>;
  /** What a program made up, such as a version or a cursor: any of its characters may be a dash. */
  opaque(placeholder: string, help: string): Flag<string>;
  oneOf<W extends string>(words: readonly W[], help: string): Flag<W>;
  duration(help: string): Flag<number>;
  count(placeholder: string, help: string): Flag<number>;
  port(help: string): Flag<number>;
  meta(help: string): Flag<Meta>;
} = {
  on: (help, short) => ({ kind: 'switch', help, ...(short !== undefined && { short }) }),
  text: (placeholder, help) => ({ kind: 'value', placeholder, help, parse: (text) => text }),
  opaque: (placeholder, help) => ({
    kind: 'value',
    placeholder,
    help,
    opaque: true,
    parse: (text) => text,
  }),
  oneOf: <W extends string>(words: readonly W[], help: string): Flag<W> => ({
    kind: 'value',
    placeholder: words.join('|'),
    help,
    parse: (text) => {
      const word = words.find((candidate) => candidate === text);
      if (word === undefined) throw new Error(`one of ${words.join(', ')}`);
      return word;
    },
  }),
  duration: (help) => ({ kind: 'value', placeholder: 'TIME', help, parse: parseDurationMs }),
  count: (placeholder, help) => ({
    kind: 'value',
    placeholder,
    help,
    parse: (text) => whole(text, Number.MAX_SAFE_INTEGER, 'a whole number of at least 0'),
  }),
  port: (help) => ({
    kind: 'value',
    placeholder: 'N',
    help,
    parse: (text) => whole(text, 65_535, 'a port from 0 (a free one) to 65535'),
  }),
  meta: (help) => ({ kind: 'value', placeholder: 'JSON', help, parse: parseMeta }),
};

function whole(text: string, most: number, expected: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number > most)
    throw new Error(expected);
  return number;
}

function parseMeta(text: string): Meta {
  const expected = 'a JSON object, such as \'{"type":"text/plain"}\'';
  let meta: unknown;
  try {
    meta = JSON.parse(text);
  } catch (cause) {
    throw new Error(expected, { cause });
  }
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta)) throw new Error(expected);
  return meta as Meta;
}

/** An argument that is wrong; the message begins with the command's name. */
export function usageError(command: string, message: string): StrataError {
  return new StrataError('invalid-argument', `${command}: ${message}`, { operation: command });
}

/**
 * Reads the arguments of a command. An unknown flag is refused with the nearest known one, a flag
 * given twice or with a value it cannot take is refused too: nothing is silently left out.
 */
export function parseFlags<F extends FlagTable>(
  command: string,
  table: F,
  args: readonly string[],
): ParsedArguments<F> {
  const options = Object.fromEntries(
    Object.entries(table).map(([name, { kind, short }]) => [
      name,
      {
        type: kind === 'switch' ? ('boolean' as const) : ('string' as const),
        ...(short && { short }),
      },
    ]),
  );
  const { tokens, positionals } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, unknown> = {};
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const found = Object.hasOwn(table, token.name) ? table[token.name] : undefined;
    if (found === undefined) throw unknownFlag(command, token.rawName, Object.keys(table));
    if (token.name in values) throw usageError(command, `${token.rawName} is given twice`);
    const dashed = token.inlineValue === false && isDashed(found, token.value, table);
    values[token.name] = readValue(command, found, token.rawName, token.value, dashed);
  }
  return { flags: values as FlagValues<F>, positionals };
}

/** Whether what follows a flag looks like the next flag rather than its value. */
function isDashed(found: Flag<unknown>, value: string, table: FlagTable): boolean {
  if (value.length < 2 || value[0] !== '-') return false;
  if (found.kind === 'switch' || found.opaque !== true) return true;
  return Object.entries(table).some(
    ([name, { short }]) => value === `--${name}` || value === `-${short}`,
  );
}

function readValue(
  command: string,
  found: Flag<unknown>,
  name: string,
  value: string | undefined,
  dashed: boolean,
): unknown {
  if (found.kind === 'switch') {
    if (value !== undefined) throw usageError(command, `${name} takes no value`);
    return true;
  }
  if (value === undefined || dashed) {
    const hint = value === undefined ? '' : `; if ${show(value)} is meant, write ${name}=${value}`;
    throw usageError(command, `${name} needs a value, ${found.placeholder}${hint}`);
  }
  try {
    return found.parse(value);
  } catch (error) {
    const expected = error instanceof Error ? error.message : String(error);
    throw usageError(command, `${name} is ${show(value)}; expected ${expected}`);
  }
}

function unknownFlag(command: string, given: string, names: readonly string[]): StrataError {
  if (/^-\d/.test(given) || !given.startsWith('--'))
    return usageError(
      command,
      `unknown flag ${given}; write -- before a key or value that begins with a dash`,
    );
  const near = nearest(given.slice(2), names);
  const hint = near === undefined ? `see stratakv ${command} --help` : `did you mean --${near}?`;
  return usageError(command, `unknown flag ${given}; ${hint}`);
}
