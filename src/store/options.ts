import { failure, invalidArgument } from './errors.ts';
import * as is from './option-rules.ts';

/** The options that an operation knows, by name. */
export type OptionRules = Readonly<Record<string, is.OptionRule>>;

/** Options that every bounded call takes. */
export const CALL_RULES: OptionRules = { signal: is.signal, timeoutMs: is.durationMs };

/** Options of reads of named keys. */
export const READ_RULES: OptionRules = { fresh: is.boolean, ...CALL_RULES };

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
      throw failure(
        'invalid-argument',
        operation,
        `unknown option ${JSON.stringify(name)}; expected ${names === '' ? 'no options' : `one of ${names}`}`,
      );
    }
    if (value !== undefined && !known.accepts(value))
      throw invalidArgument(operation, `the option ${name}`, value, known.expected);
  }
  for (const name of required) {
    if ((options as Record<string, unknown>)[name] === undefined) {
      throw failure(
        'invalid-argument',
        operation,
        `the option ${name} is missing; expected ${rules[name]?.expected ?? 'a value'}`,
      );
    }
  }
}
