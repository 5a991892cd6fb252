/*
 * Rules to build on: every option of the library is described by one of these or its own. Import
 * them as `is`: a bundle then holds those that are named, and no others.
 */

/** What an option must be: a sentence for the error, and the test. */
export interface OptionRule {
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
const isWhole = (value: unknown, least: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= least;

export const string: OptionRule = {
  expected: 'a string',
  accepts: (v) => typeof v === 'string',
};
export const text: OptionRule = {
  expected: 'a non-empty string',
  accepts: (v) => typeof v === 'string' && v !== '',
};
export const boolean: OptionRule = {
  expected: 'true or false',
  accepts: (v) => typeof v === 'boolean',
};
export const fn: OptionRule = {
  expected: 'a function',
  accepts: (v) => typeof v === 'function',
};
export const count: OptionRule = {
  expected: 'a whole number of at least 0',
  accepts: (v) => isWhole(v, 0),
};
export const positive: OptionRule = {
  expected: 'a whole number of at least 1',
  accepts: (v) => isWhole(v, 1),
};
export const durationMs: OptionRule = {
  expected: 'a number of ms above 0',
  accepts: (v) => typeof v === 'number' && v > 0,
};
export const timeMs: OptionRule = {
  expected: 'a time in ms since 1970',
  accepts: (v) => Number.isFinite(v) && (v as number) >= 0,
};
export const signal: OptionRule = {
  expected: 'an AbortSignal',
  accepts: (v) => v instanceof AbortSignal,
};
export const object: OptionRule = { expected: 'an object', accepts: isObject };
export const anything: OptionRule = { expected: 'anything', accepts: () => true };
export const store: OptionRule = {
  expected: 'a store',
  accepts: (v) => isObject(v) && 'capabilities' in v,
};
export const codec: OptionRule = {
  expected: 'a codec, such as json()',
  accepts: (v) => {
    const { encode, decode } = (v ?? {}) as { encode?: unknown; decode?: unknown };
    return typeof encode === 'function' && typeof decode === 'function';
  },
};

export function oneOf(...words: readonly string[]): OptionRule {
  return {
    expected: `one of ${words.map((word) => `'${word}'`).join(', ')}`,
    accepts: (v) => words.includes(v as string),
  };
}

export function either(...rules: readonly OptionRule[]): OptionRule {
  return {
    expected: rules.map((rule) => rule.expected).join(' or '),
    accepts: (v) => rules.some((rule) => rule.accepts(v)),
  };
}
