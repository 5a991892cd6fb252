import type { Shape } from '../store/primitives.ts';

/**
 * Whether what a store shows in a scan is what its feed has told of or will tell of, in that order.
 * A composition may show in one what is not yet in the other.
 */
export function isPlain({ parts }: Shape): boolean {
  if (parts === undefined) return true;
  const inner = Object.entries(parts);
  return inner.every(([role, shape]) => role === 'inner' && isPlain(shape));
}
