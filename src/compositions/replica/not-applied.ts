import { isStrataError } from '../../store/errors.ts';

const NOT_APPLIED = [
  'invalid-argument',
  'unsupported',
  'closed',
  'conflict',
  'timeout',
  'aborted',
  'unavailable',
  'overloaded',
  'no-space',
  'denied',
] as const;

/** Whether a write that failed so has certainly not been applied. */
export function isNotApplied(error: unknown): boolean {
  return isStrataError(error, ...NOT_APPLIED);
}
