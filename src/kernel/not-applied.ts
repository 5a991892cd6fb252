import { isStrataError } from '../store/errors.ts';

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

/** Whether a commit that failed so has certainly not been applied, nor any part of it. */
export function isNotApplied(error: unknown): boolean {
  if (!isStrataError(error, ...NOT_APPLIED)) return false;
  const applied = error.details?.applied;
  return !Array.isArray(applied) || applied.length === 0;
}
