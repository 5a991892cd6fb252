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

/** Whether nobody answered in the time given: the same may succeed with more. */
export function tookTooLong(error: unknown): boolean {
  if (!isStrataError(error)) return false;
  if (error.code === 'unknown-outcome') return error.details?.reason === 'timeout';
  return error.code === 'timeout' || isStrataError(error.cause, 'timeout');
}

/** So often in a row the back may not answer in time before it is given more. */
const TIMEOUTS = 2;
const MAX_FACTOR = 8;

/** How much longer the back is waited for than it should need: it may be slow, and not away. */
export class Slowness {
  #timeouts = 0;

  get factor(): number {
    return Math.min(MAX_FACTOR, 2 ** Math.max(0, this.#timeouts - TIMEOUTS));
  }

  get isGreatest(): boolean {
    return this.factor === MAX_FACTOR;
  }

  answered(): void {
    this.#timeouts = 0;
  }

  failed(error: unknown): void {
    if (tookTooLong(error)) this.#timeouts++;
  }
}
