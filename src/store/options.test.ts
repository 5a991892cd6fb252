import { describe, expect, it } from 'vitest';
import * as is from './option-rules.ts';
import { checkOptions } from './options.ts';

const rules = { size: is.positive, mode: is.oneOf('a', 'b'), fn: is.fn };

describe('checkOptions', () => {
  it('accepts what the rules accept, and undefined for not given', () => {
    for (const good of [
      undefined,
      {},
      { size: 1 },
      { mode: 'b', fn: () => {} },
      { size: undefined },
    ])
      expect(() => checkOptions('open', good, rules)).not.toThrow();
    expect(() => checkOptions('open', Object.create(null), rules)).not.toThrow();
  });

  it('says what is unknown, and what is known', () => {
    expect(() => checkOptions('open', { sise: 1 }, rules)).toThrow(
      'open: unknown option "sise"; expected one of fn, mode, size',
    );
    expect(() => checkOptions('open', { a: undefined }, {})).toThrow(
      'open: unknown option "a"; expected no options',
    );
    for (const name of ['toString', 'constructor', '__proto__'])
      expect(() => checkOptions('open', JSON.parse(`{"${name}":1}`), rules), name).toThrow(
        `unknown option "${name}"`,
      );
  });

  it('says what came, and what would be right', () => {
    expect(() => checkOptions('open', { mode: 'c' }, rules)).toThrow(
      `open: the option mode is "c"; expected one of 'a', 'b'`,
    );
    expect(() => checkOptions('open', { size: 0 }, rules)).toThrow(
      'the option size is 0; expected a whole number of at least 1',
    );
    expect(() => checkOptions('open', 5, rules)).toThrow('the options argument is 5');
    expect(() => checkOptions('open', { size: 'x'.repeat(500) }, rules)).toThrow(/"x{57}\.\.\."/);
  });

  it('demands what is required', () => {
    expect(() => checkOptions('open', undefined, rules, ['size'])).toThrow(/the options argument/);
    expect(() => checkOptions('open', { mode: 'a' }, rules, ['size'])).toThrow(
      'open: the option size is missing; expected a whole number of at least 1',
    );
    expect(() => checkOptions('open', { size: 2 }, rules, ['size'])).not.toThrow();
  });
});

describe('the rules', () => {
  const stores = [{ capabilities: {} }];
  it.each<[string, is.OptionRule, readonly unknown[], readonly unknown[]]>([
    ['string', is.string, ['', 'a'], [1, null, {}]],
    ['text', is.text, ['a'], ['', 1, null]],
    ['boolean', is.boolean, [true, false], [0, 'true', null]],
    ['fn', is.fn, [() => {}, class {}], [{}, 'f', null]],
    [
      'count',
      is.count,
      [0, 5, Number.MAX_SAFE_INTEGER],
      [-1, 0.5, Number.NaN, Infinity, '1', 2 ** 53],
    ],
    ['positive', is.positive, [1, 5], [0, -1, 1.5, Infinity]],
    ['durationMs', is.durationMs, [0.5, 1, Infinity], [0, -1, Number.NaN, '5']],
    ['timeMs', is.timeMs, [0, 1.5e12], [-1, Infinity, Number.NaN, new Date()]],
    ['signal', is.signal, [new AbortController().signal], [new AbortController(), {}, null]],
    ['object', is.object, [{}, []], [null, 'a', 1]],
    ['anything', is.anything, [undefined, null, 0, ''], []],
    ['store', is.store, stores, [null, {}, 'memory:']],
  ])('%s', (_, rule, good, bad) => {
    for (const value of good) expect(rule.accepts(value), String(value)).toBe(true);
    for (const value of bad) expect(rule.accepts(value), String(value)).toBe(false);
  });

  it('can be joined', () => {
    const either = is.either(is.count, is.oneOf('all'));
    expect(either.expected).toBe("a whole number of at least 0 or one of 'all'");
    expect(['all', 0, -1, 'none'].map((value) => either.accepts(value))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
