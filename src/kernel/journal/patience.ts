import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { isStrataError } from '../../store/errors.ts';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;

/** A result, unless the call ends before; does not start the deadline of the call. */
export async function within<T>(call: Call, result: Awaitable<T>): Promise<T> {
  return result instanceof Promise ? call.untilEnd(result) : result;
}

/** Resolves after `ms`; rejects when one of the calls ends. */
export async function sleep(env: Env, ms: number, ...calls: readonly Call[]): Promise<void> {
  let wake = (): void => {};
  let waiting = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const timer = env.setTimer(() => wake(), ms);
  for (const call of calls) waiting = call.untilEnd(waiting);
  await waiting.finally(() => timer.cancel());
}

/** Does `work` again and again until it succeeds, fails for good, or the call ends. */
export async function persist<T>(
  env: Env,
  call: Call,
  work: () => Promise<T>,
  mayPass: (error: unknown) => boolean = passes,
): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    call.throwIfEnded();
    try {
      return await call.untilEnd(work());
    } catch (error) {
      if (call.ended !== undefined || !mayPass(error)) throw error;
    }
    await sleep(env, pauseMs * env.random(), call);
  }
}

/** Whether a failure of the store may be over at the next try. */
function passes(error: unknown): boolean {
  return (
    isStrataError(error) &&
    (error.retryable || error.code === 'no-space' || error.code === 'unknown-outcome')
  );
}

/** Runs work on the store within a bound of its own. */
export function bounded<T>(
  env: Env,
  timeoutMs: number,
  work: (call: Call) => Promise<T>,
): Promise<T> {
  const call = new Call(env, 'journal', undefined, { timeoutMs });
  return call.guard(work(call));
}
