import { isStrataError, StrataError } from '../../../store/errors.ts';

/** Whether a commit that failed may be in the back all the same. */
export function mayBeApplied(error: unknown): boolean {
  return !isStrataError(error) || error.code === 'unknown-outcome';
}

/** Any failure as one with a code. */
export function asFailure(error: unknown): StrataError {
  if (isStrataError(error)) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new StrataError('unknown-outcome', `flush: ${why}`, { operation: 'flush', cause: error });
}

/**
 * Whether trying again is in vain. What concerns the back as a whole, such as a full disk or lost
 * rights, is for its operator to mend: the writes wait for that.
 */
export function isPermanent({ code, key }: StrataError): boolean {
  switch (code) {
    case 'invalid-argument':
    case 'unsupported':
    case 'conflict':
      return true;
    case 'denied':
      return key !== undefined;
    default:
      return false;
  }
}
