import type { Condition, Json, Meta } from './entry.ts';
import { failure, invalidArgument, type StrataError } from './errors.ts';
import { checkKey, utf8Length } from './keys.ts';
import type { BatchWrite, SetOptions } from './operations.ts';
import * as is from './option-rules.ts';
import { CALL_RULES, checkOptions, type OptionRules } from './options.ts';
import type { Primitives, SetWrite, Write } from './primitives.ts';

/** Later ends are taken for this one, the last that an envelope holds: about the year 10889. */
const MAX_EXPIRES_AT = 2 ** 48 - 1;
/** Largest metadata of an entry, in bytes of JSON. */
export const MAX_META_BYTES: number = 16 * 1024;

const isVersion = (v: unknown): boolean =>
  typeof v === 'object' &&
  v !== null &&
  typeof (v as { version?: unknown }).version === 'string' &&
  Object.keys(v).length === 1;

/** A date or a map would pass for an object, and be stored as something else. */
const isPlainObject = (v: unknown): boolean => {
  if (typeof v !== 'object' || v === null) return false;
  const prototype: unknown = Object.getPrototypeOf(v);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
};

const WRITE_RULES: OptionRules = {
  if: { expected: "'absent' or { version }", accepts: (v) => v === 'absent' || isVersion(v) },
  ttlMs: is.durationMs,
  expiresAt: is.timeMs,
  immutable: is.boolean,
  meta: {
    expected: 'an object of JSON data',
    accepts: isPlainObject,
  },
};

export const SET_RULES: OptionRules = { ...WRITE_RULES, ...CALL_RULES };
const { if: IF_RULE, ...UNCONDITIONAL } = SET_RULES;
/** Options of writes that bring their own condition or none. */
export const SET_UNCONDITIONAL_RULES: OptionRules = UNCONDITIONAL;
export const DELETE_RULES: OptionRules = { if: IF_RULE as OptionRules[string], ...CALL_RULES };
/** A bound is no key: it may be empty, but not malformed. */
const bound: is.OptionRule = {
  expected: 'a string of well-formed Unicode',
  accepts: (v) => typeof v === 'string' && v.isWellFormed(),
};
export const RANGE_RULES: OptionRules = {
  prefix: bound,
  gt: bound,
  gte: bound,
  lt: bound,
  lte: bound,
  reverse: is.boolean,
  limit: is.count,
  ...CALL_RULES,
};
export const CLEAR_RULES: OptionRules = { prefix: bound, ...CALL_RULES };
export const WATCH_RULES: OptionRules = { after: is.text, ...CLEAR_RULES };

const BATCH_SET_RULES: OptionRules = {
  type: is.anything,
  key: is.anything,
  value: is.anything,
  ...WRITE_RULES,
};
const BATCH_DELETE_RULES: OptionRules = {
  type: is.anything,
  key: is.anything,
  if: IF_RULE as OptionRules[string],
};

/** A string would pass for an iterable of its characters. */
function toList<T>(operation: string, name: string, items: Iterable<T>, expected: string): T[] {
  if (typeof items === 'string' || typeof items?.[Symbol.iterator] !== 'function')
    throw invalidArgument(operation, `the ${name} argument`, items, expected);
  return [...items];
}

/** The keys of a call, checked. */
export function checkKeys(
  operation: string,
  keys: Iterable<string>,
  maxKeyBytes: number,
): string[] {
  const list = toList(operation, 'keys', keys, 'an iterable of keys');
  for (const key of list) checkKey(operation, key, maxKeyBytes);
  return list;
}

/** The pairs of a call, each a key and a value, which are checked later. */
export function checkPairs<V>(
  operation: string,
  pairs: Iterable<readonly [string, V]>,
): (readonly [string, V])[] {
  const list = toList(operation, 'pairs', pairs, 'an iterable of [key, value]');
  for (const [at, pair] of list.entries())
    if (!Array.isArray(pair) || pair.length !== 2)
      throw invalidArgument(operation, `pair ${at}`, pair, '[key, value]');
  return list;
}

/** Refuses what is no function. */
export function checkFunction(operation: string, key: string, fn: unknown, expected: string): void {
  if (typeof fn !== 'function') throw invalidArgument(operation, 'the function', fn, expected, key);
}

/** Refuses the promise of a value where only the value itself is of use. */
export function refusePromise(operation: string, key: string, value: unknown): void {
  if (value instanceof Promise)
    throw invalidArgument(operation, 'what the function gives', value, 'the value itself', key);
}

function checkMeta(operation: string, key: string, meta: Meta): Meta {
  let text: string;
  try {
    text = JSON.stringify(meta);
  } catch (cause) {
    throw failure('invalid-argument', operation, 'the metadata is no JSON data', { key, cause });
  }
  const bytes = utf8Length(text);
  if (bytes > MAX_META_BYTES)
    throw failure(
      'invalid-argument',
      operation,
      `the metadata has ${bytes} bytes of JSON; expected at most ${MAX_META_BYTES}`,
      { key },
    );
  // A frozen copy: it is handed out with every reading of the entry.
  return JSON.parse(text, (_, part: Json) =>
    typeof part === 'object' ? Object.freeze(part) : part,
  ) as Meta;
}

/** Refuses what a store does not offer. */
export function unsupported(
  { shape }: Primitives<never> | Primitives<unknown>,
  operation: string,
  key: string | undefined,
  what: string,
): StrataError {
  return failure('unsupported', operation, `${shape.type} stores offer no ${what}`, { key });
}

function checkSupported<V>(
  primitives: Primitives<V>,
  operation: string,
  key: string,
  write: { if?: Condition; expires: boolean; type: 'set' | 'delete' },
): void {
  const { conditional, ttl } = primitives.capabilities;
  const refuse = (what: string): StrataError => unsupported(primitives, operation, key, what);
  if (write.expires && !ttl) throw refuse('expiry');
  if (write.if === undefined || conditional === 'all') return;
  if (write.type === 'delete' || conditional === 'none') throw refuse(`conditional ${write.type}`);
  if (write.if !== 'absent' && conditional === 'absent')
    throw refuse('set conditional on a version');
}

/** The value as the store may keep it. */
function own<V>(primitives: Primitives<V>, operation: string, key: string, value: V): V {
  if (primitives.guard === undefined) return value;
  try {
    return primitives.guard(value);
  } catch (cause) {
    throw invalidArgument(operation, 'the value', value, 'data that can be cloned', key, cause);
  }
}

type WriteOptions = Omit<SetOptions, 'signal' | 'timeoutMs'>;

/** Checks one set and gives it the form that primitives take. `options` are already checked for names and kinds. */
export function toSetWrite<V>(
  primitives: Primitives<V>,
  operation: string,
  key: string,
  value: V,
  options: WriteOptions | undefined,
): SetWrite<V> {
  checkKey(operation, key, primitives.capabilities.maxKeyBytes);
  if (value === undefined)
    throw invalidArgument(
      operation,
      'the value',
      value,
      'a value; undefined stands for a missing one',
      key,
    );
  primitives.checkValue?.(operation, key, value);
  const { maxValueBytes } = primitives.capabilities;
  if (maxValueBytes !== undefined && value instanceof Uint8Array && value.length > maxValueBytes) {
    throw failure(
      'invalid-argument',
      operation,
      `the value has ${value.length} bytes; expected at most ${maxValueBytes}`,
      { key },
    );
  }
  const owned = own(primitives, operation, key, value);
  if (options === undefined) return { type: 'set', key, value: owned };
  if (options.ttlMs !== undefined && options.expiresAt !== undefined) {
    throw failure('invalid-argument', operation, 'ttlMs and expiresAt exclude each other', { key });
  }
  const expiresAt =
    options.ttlMs === undefined ? options.expiresAt : primitives.env.now() + options.ttlMs;
  checkSupported(primitives, operation, key, {
    type: 'set',
    expires: expiresAt !== undefined,
    ...(options.if && { if: options.if }),
  });
  return {
    type: 'set',
    key,
    value: owned,
    ...(options.if !== undefined && { if: options.if }),
    ...(expiresAt !== undefined &&
      Number.isFinite(expiresAt) && { expiresAt: Math.min(Math.ceil(expiresAt), MAX_EXPIRES_AT) }),
    ...(options.immutable === true && { immutable: true as const }),
    ...(options.meta !== undefined && { meta: checkMeta(operation, key, options.meta) }),
  };
}

/** Checks one delete and gives it the form that primitives take. */
export function toDeleteWrite<V>(
  primitives: Primitives<V>,
  operation: string,
  key: string,
  condition: Condition | undefined,
): Write<V> {
  checkKey(operation, key, primitives.capabilities.maxKeyBytes);
  if (condition === undefined) return { type: 'delete', key };
  checkSupported(primitives, operation, key, { type: 'delete', expires: false, if: condition });
  return { type: 'delete', key, if: condition };
}

/** Checks every write of a batch before any is applied. */
export function toWrites<V>(
  primitives: Primitives<V>,
  operation: string,
  writes: Iterable<BatchWrite<V>>,
): Write<V>[] {
  const checked: Write<V>[] = [];
  for (const write of toList(operation, 'writes', writes, 'an iterable of writes')) {
    if (write?.type === 'set') {
      checkOptions(`${operation}[${checked.length}]`, write, BATCH_SET_RULES);
      checked.push(toSetWrite(primitives, operation, write.key, write.value, write));
    } else if (write?.type === 'delete') {
      checkOptions(`${operation}[${checked.length}]`, write, BATCH_DELETE_RULES);
      checked.push(toDeleteWrite(primitives, operation, write.key, write.if));
    } else {
      throw invalidArgument(
        operation,
        `the type of write ${checked.length}`,
        (write as { type?: unknown } | undefined)?.type,
        "'set' or 'delete'",
      );
    }
  }
  return checked;
}
