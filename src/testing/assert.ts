import { isStrataError, type StrataError, type StrataErrorCode, show } from '../store/errors.ts';

/** A broken promise of the contract. Runners show `actual` and `expected`. */
export class ConformanceError extends Error {
  override readonly name: string = 'ConformanceError';
  readonly actual: unknown;
  readonly expected: unknown;

  constructor(message: string, actual?: unknown, expected?: unknown, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.actual = actual;
    this.expected = expected;
  }
}

export function ok(condition: unknown, what: string): asserts condition {
  if (!condition) throw new ConformanceError(`expected that ${what}`, condition, true);
}

export function defined<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new ConformanceError(`expected ${what}, got undefined`);
  return value;
}

/** Compares as data: bytes, maps, sets and dates by content, objects without regard to the order of their members. */
export function equal(actual: unknown, expected: unknown, what: string): void {
  if (!sameData(actual, expected))
    throw new ConformanceError(
      `${what}: got ${inspect(actual)}; expected ${inspect(expected)}`,
      actual,
      expected,
    );
}

/** Runs what must fail with a `StrataError` of the code (one of the codes); gives the error. */
export async function fails(
  run: () => unknown,
  code: StrataErrorCode | readonly StrataErrorCode[],
  what: string,
  about: { readonly key?: string; readonly operation?: string } = {},
): Promise<StrataError> {
  const codes = typeof code === 'string' ? [code] : code;
  let result: unknown;
  try {
    result = await run();
  } catch (error) {
    if (!isStrataError(error, ...codes))
      throw new ConformanceError(
        `${what}: expected a StrataError ${codes.join(' or ')}, got ${String(error)}`,
        error,
        codes,
        error,
      );
    if (about.key !== undefined)
      equal(error.key, about.key, `${what}: the key that the error names`);
    if (about.operation !== undefined)
      equal(error.operation, about.operation, `${what}: the operation that the error names`);
    return error;
  }
  throw new ConformanceError(`${what}: expected ${codes.join(' or ')}, got ${inspect(result)}`);
}

export function sameData(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (ArrayBuffer.isView(a) || ArrayBuffer.isView(b)) return sameBytes(a, b);
  if (a instanceof Date || b instanceof Date)
    return a instanceof Date && b instanceof Date && Object.is(a.getTime(), b.getTime());
  if (a instanceof Map || b instanceof Map)
    return a instanceof Map && b instanceof Map && sameList([...a], [...b]);
  if (a instanceof Set || b instanceof Set)
    return a instanceof Set && b instanceof Set && sameList([...a], [...b]);
  if (Array.isArray(a) || Array.isArray(b))
    return Array.isArray(a) && Array.isArray(b) && sameList(a, b);
  const left = Object.keys(a);
  return (
    left.length === Object.keys(b).length &&
    left.every(
      (name) =>
        Object.hasOwn(b, name) &&
        sameData((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]),
    )
  );
}

function sameBytes(a: object, b: object): boolean {
  if (!(a instanceof Uint8Array && b instanceof Uint8Array) || a.length !== b.length) return false;
  return a.every((byte, i) => byte === b[i]);
}

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => sameData(item, b[i]));
}

function inspect(value: unknown): string {
  if (value instanceof Uint8Array) return `bytes [${value.slice(0, 24).join(' ')}]`;
  if (value instanceof Map || value instanceof Set)
    return `${value.constructor.name} ${inspect([...value])}`;
  if (value instanceof Error) return String(value);
  if (typeof value !== 'object' || value === null) return show(value);
  const text = JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'bigint' || part instanceof Uint8Array ? inspect(part) : part,
  );
  return text.length > 400 ? `${text.slice(0, 400)}...` : text;
}
