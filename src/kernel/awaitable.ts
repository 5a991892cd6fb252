import type { Awaitable } from '../store/awaitable.ts';

/** Applies `fn` to a result: now where it is at hand, else when it comes. */
export function chain<A, B>(result: Awaitable<A>, fn: (value: A) => Awaitable<B>): Awaitable<B> {
  return result instanceof Promise ? result.then(fn) : fn(result);
}

/** Runs `work` and goes on with `ok` or `failed`, now or when its result comes. What `ok` throws is not caught. */
export function attempt<A, B>(
  work: () => Awaitable<A>,
  ok: (value: A) => Awaitable<B>,
  failed: (error: unknown) => Awaitable<B>,
): Awaitable<B> {
  let result: Awaitable<A>;
  try {
    result = work();
  } catch (error) {
    return failed(error);
  }
  return result instanceof Promise ? result.then(ok, failed) : ok(result);
}
