/** How long calls of the model of tiered stores may take. */
import type { TieredModelWorld } from './tiered-model-world.ts';

/** Bound of every call that names none. */
export const CALL_MS = 5_000;

/** When a call began, and the last step of one that has several. */
export interface Begun {
  readonly began: number;
  readonly beganMs: number;
  steppedMs?: number;
}

export function checkTook(tookMs: number): void {
  if (tookMs > CALL_MS) throw new Error(`a call took ${tookMs} ms`);
}

/** Everything that is given in steps, each of which is bounded as a call is. */
export async function stepwise<T>(
  items: AsyncIterable<T>,
  begun: Begun,
  { env, process }: TieredModelWorld,
): Promise<readonly T[]> {
  const all: T[] = [];
  begun.steppedMs = env.now();
  for await (const item of items) {
    const nowMs = env.now();
    if (!process.dead) checkTook(nowMs - begun.steppedMs);
    begun.steppedMs = nowMs;
    all.push(item);
  }
  return all;
}
