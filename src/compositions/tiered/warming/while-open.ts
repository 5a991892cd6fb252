import { isStrataError, type StrataError } from '../../../store/errors.ts';
import type { Primitives } from '../../../store/primitives.ts';
import type { Policy, TieredParts } from '../tiered-parts.ts';
import { warmTarget } from './index.ts';
import { forgetFront, noteFront } from './live-fronts.ts';

/**
 * Lets the front of a tiered store be warmed from its opening to its close, and begins at once where
 * the options say so. Gives the primitives to make the store of: closing them ends the warming first.
 */
export function warmedWhileOpen<V>(
  { primitives, warming }: Policy<V>,
  { options: { warmOnOpen }, onEvent }: TieredParts<V>,
): Primitives<V> {
  if (warming === undefined) return primitives;
  noteFront(warming.front, warming);
  if (warmOnOpen !== undefined && warmOnOpen !== false)
    warmTarget(warming, warmOnOpen === true ? {} : warmOnOpen).then(
      (progress) => onEvent({ type: 'warmed', progress }),
      (cause: unknown) => {
        if (!isStrataError(cause, 'closed'))
          onEvent({ type: 'warm-failed', cause: cause as StrataError });
      },
    );
  return {
    ...primitives,
    close: async () => {
      await warming.lifetime.end();
      forgetFront(warming.front, warming);
      await primitives.close();
    },
  };
}
