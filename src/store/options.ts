import { invalidArgument, StrataError } from './errors.ts';

/** What an option must be: a sentence for the error, and the test. */
export interface OptionRule {
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
}

/** The options that an operation knows, by name. */
export type OptionRules = Readonly<Record<string, OptionRule>>;

const rule = (expected: string, accepts: (value: unknown) => boolean): OptionRule => ({
  expected,
  accepts,
});
const isWhole = (value: unknown, least: number): boolean =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= least;

interface Rules {
  readonly string: OptionRule;
  readonly text: OptionRule;
  readonly boolean: OptionRule;
  readonly fn: OptionRule;
  readonly count: OptionRule;
  readonly positive: OptionRule;
  readonly durationMs: OptionRule;
  readonly timeMs: OptionRule;
  readonly signal: OptionRule;
  readonly object: OptionRule;
  readonly anything: OptionRule;
  readonly store: OptionRule;
  readonly codec: OptionRule;
  oneOf(...words: readonly string[]): OptionRule;
  either(...rules: readonly OptionRule[]): OptionRule;
}

/** Rules to build on: every option of the library is described by one of these or its own. */
export const is: Rules = {
  string: rule('a string', (v) => typeof v === 'string'),
  text: rule('a non-empty string', (v) => typeof v === 'string' && v !== ''),
  boolean: rule('true or false', (v) => typeof v === 'boolean'),
  fn: rule('a function', (v) => typeof v === 'function'),
  count: rule('a whole number of at least 0', (v) => isWhole(v, 0)),
  positive: rule('a whole number of at least 1', (v) => isWhole(v, 1)),
  durationMs: rule('a number of ms above 0', (v) => typeof v === 'number' && v > 0),
  timeMs: rule(
    'a time in ms since 1970',
    (v) => typeof v === 'number' && Number.isFinite(v) && v >= 0,
  ),
  signal: rule('an AbortSignal', (v) => v instanceof AbortSignal),
  object: rule('an object', (v) => typeof v === 'object' && v !== null),
  anything: rule('anything', () => true),
  store: rule('a store', (v) => typeof v === 'object' && v !== null && 'capabilities' in v),
  codec: rule('a codec, such as json()', (v) => {
    const { encode, decode } = (v ?? {}) as { encode?: unknown; decode?: unknown };
    return typeof encode === 'function' && typeof decode === 'function';
  }),
  oneOf: (...words) =>
    rule(`one of ${words.map((w) => `'${w}'`).join(', ')}`, (v) => words.includes(v as string)),
  either: (...rules) =>
    rule(rules.map((r) => r.expected).join(' or '), (v) => rules.some((r) => r.accepts(v))),
};

/** Options that every bounded call takes. */
export const CALL_RULES: OptionRules = { signal: is.signal, timeoutMs: is.durationMs };

/**
 * Refuses options that are no plain object, have an unknown name (a typo must not be silent) or a
 * value of the wrong kind. `undefined` counts as not given.
 */
export function checkOptions(
  operation: string,
  options: unknown,
  rules: OptionRules,
  required: readonly string[] = [],
): void {
  if (options === undefined && required.length === 0) return;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidArgument(operation, 'the options argument', options, 'an object');
  }
  for (const [name, value] of Object.entries(options)) {
    const known = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (known === undefined) {
      const names = Object.keys(rules).sort().join(', ');
      throw new StrataError(
        'invalid-argument',
        `${operation}: unknown option ${JSON.stringify(name)}; expected ${names === '' ? 'no options' : `one of ${names}`}`,
        { operation },
      );
    }
    if (value !== undefined && !known.accepts(value))
      throw invalidArgument(operation, `the option ${name}`, value, known.expected);
  }
  for (const name of required) {
    if ((options as Record<string, unknown>)[name] === undefined) {
      throw new StrataError(
        'invalid-argument',
        `${operation}: the option ${name} is missing; expected ${rules[name]?.expected ?? 'a value'}`,
        { operation },
      );
    }
  }
}
