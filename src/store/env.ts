/** A pending timer. */
export interface Timer {
  cancel(): void;
  /**
   * Whether it keeps the process alive no longer, or does again; gives false where that cannot be
   * chosen any more. Absent where it never can.
   */
  setBackground?(background: boolean): boolean;
}

/**
 * Clock, randomness and timers, injected everywhere so that a whole system can run in one
 * simulated thread from one seed. Nothing outside drivers, transports, the CLI and `systemEnv`
 * reaches for the real ones.
 */
export interface Env {
  /** Wall clock in ms since 1970; may step either way. Only for expiry and for what people read. */
  now(): number;
  /** Ms that never decrease, from an arbitrary start. */
  monotonicMs(): number;
  /** A number in [0, 1), for jitter. */
  random(): number;
  /** Unpredictable bytes, for ids and versions. */
  randomBytes(length: number): Uint8Array;
  /** Runs `fn` once after `delayMs`. A `background` timer does not keep the process alive. */
  setTimer(fn: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer;
  /** Who runs this, for people: `pid 4711`. Absent where that has no name. */
  readonly process?: string;
}
