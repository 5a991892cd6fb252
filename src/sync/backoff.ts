import type { Env } from '../store/env.ts';

/** How long to wait before connecting again. */
export interface BackoffOptions {
  /** Upper bound of the first wait, doubled at each further one; default 100. */
  readonly baseMs?: number;
  /** Bound of that growth; default 30,000. */
  readonly capMs?: number;
}

/** Full jitter: any wait between nothing and the bound, so that many who lost one server do not return together. */
export function backoffMs(env: Env, tries: number, options: BackoffOptions = {}): number {
  const { baseMs = 100, capMs = 30_000 } = options;
  return env.random() * Math.min(capMs, baseMs * 2 ** Math.min(tries, 30));
}
