import type { Timer } from '../../store/env.ts';
import { systemEnv } from '../../store/system-env.ts';
import type { RedisPort, RedisWord } from './port.ts';

/** A connection that owes an answer and has been silent for so long is given up. */
const SILENCE_MS = 10_000;
const LOOK_EVERY_MS = 2_500;

/**
 * Ends a connection on which nothing comes back any more: a network that swallows packets tells
 * nobody, and every later call would wait behind it. Uses the real clock, as the network does.
 */
export class WatchedPort implements RedisPort {
  readonly #port: RedisPort;
  readonly #onError: (error: unknown) => void;
  #owed = 0;
  #heardMs = 0;
  #timer: Timer | undefined;
  #idle: (() => void)[] = [];
  readonly #settled: () => void;
  readonly #failed: (error: unknown) => void;

  constructor(port: RedisPort, onError: (error: unknown) => void) {
    this.#port = port;
    this.#onError = onError;
    this.#settled = () => {
      this.#heardMs = systemEnv.monotonicMs();
      // The timer stays: a command that follows soon needs no other.
      if (--this.#owed > 0 || this.#idle.length === 0) return;
      const idle = this.#idle;
      this.#idle = [];
      for (const fn of idle) fn();
    };
    this.#failed = (error) => {
      this.#settled();
      this.#onError(error);
    };
  }

  get ready(): boolean {
    return this.#port.ready;
  }

  send(words: readonly RedisWord[]): Promise<unknown> {
    if (this.#owed++ === 0) {
      this.#heardMs = systemEnv.monotonicMs();
      if (this.#timer === undefined) this.#watch();
    }
    const reply = this.#port.send(words);
    reply.then(this.#settled, this.#failed);
    return reply;
  }

  /** Resolves when no answer is owed. */
  idle(): Promise<void> {
    return this.#owed === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#idle.push(resolve));
  }

  subscribe(channel: string, heard: (message: string) => void): Promise<void> {
    return this.#port.subscribe(channel, heard);
  }

  onEnd(fn: () => void): void {
    this.#port.onEnd(fn);
  }

  disconnect(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#port.disconnect();
  }

  #watch(): void {
    this.#timer = systemEnv.setTimer(() => this.#look(), LOOK_EVERY_MS, { background: true });
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#owed === 0) return;
    if (systemEnv.monotonicMs() - this.#heardMs >= SILENCE_MS) this.#port.disconnect();
    else this.#watch();
  }
}
