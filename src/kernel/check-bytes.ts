import { invalidArgument } from '../store/errors.ts';

/** The `checkValue` of a store of bytes: refuses what is none. */
export function checkBytes(operation: string, key: string, value: unknown): void {
  if (!(value instanceof Uint8Array))
    throw invalidArgument(
      operation,
      'the value',
      value,
      'bytes (a Uint8Array), or a codec for the store',
      key,
    );
}
