/** A result now or later: what is at hand is returned without a promise. */
export type Awaitable<T> = T | Promise<T>;
