import { isStrataError } from '../store/errors.ts';
import type { Store } from '../store/store.ts';
import type { Context } from './context.ts';
import type { Progress } from './terminal/progress.ts';

/**
 * Counts keys beside the work itself, only where a bar is drawn, and gives the bar its end when it
 * knows it. A count that fails leaves the bar without an end; the work will meet the same failure.
 */
export function startCounting(
  context: Context,
  store: Store<Uint8Array>,
  range: { readonly prefix?: string },
  progress: Progress,
): { stop(): void } {
  const controller = new AbortController();
  if (progress.enabled) {
    const signal = AbortSignal.any([controller.signal, context.signal]);
    count(store, { ...range, signal }).then(
      (total) => {
        progress.total = total;
      },
      (error: unknown) => {
        if (!isStrataError(error)) throw error;
      },
    );
  }
  return { stop: () => controller.abort() };
}

async function count(
  store: Store<Uint8Array>,
  range: { readonly prefix?: string; readonly signal: AbortSignal },
): Promise<number> {
  let total = 0;
  for await (const _ of store.keys(range)) total++;
  return total;
}
