import { type Signal, signal } from '@preact/signals';
import type { Env, Timer } from '../../store/env.ts';
import { isStrataError, StrataError } from '../../store/errors.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { randomId } from '../../store/version.ts';
import { backoffMs } from '../../sync/backoff.ts';
import {
  type Connector,
  type RemoteChange,
  type Subscription,
  type SubscriptionStatus,
  subscribe,
} from '../../sync/index.ts';

/** How the page stands to the server. */
export type LinkState =
  | { readonly name: 'connecting' }
  | { readonly name: 'syncing' }
  | { readonly name: 'live' }
  /** Lost; tried again at `untilMs` of the monotonic clock. */
  | { readonly name: 'waiting'; readonly untilMs: number; readonly error: Error }
  /** The token is missing or wrong. */
  | { readonly name: 'denied' }
  | { readonly name: 'failed'; readonly error: Error };

export interface LinkInit<V> {
  readonly connector: Connector;
  /** The copy to fill; asked at every connection. */
  store(): Store<V>;
  token(): string;
  onChange(change: RemoteChange<V>, status: SubscriptionStatus): void;
  /** The copy is that of another source: make `store` give an empty one. */
  discard(): Promise<void>;
  readonly env?: Env;
}

const STATUS_EVERY_MS = 250;
const BACKOFF = { baseMs: 250, capMs: 10_000 };
/** Nothing that waiting would mend. */
const LASTING = ['invalid-argument', 'unsupported', 'overloaded', 'corrupt'] as const;

/**
 * Keeps a subscription: one for each connection, the next resuming from the cursor in the copy. So
 * the page itself decides when to try again, and can say when that is.
 */
export class Link<V> {
  readonly state: Signal<LinkState> = signal({ name: 'connecting' });
  readonly status: Signal<SubscriptionStatus | undefined> = signal(undefined);
  /** Writes go through it; absent while there is no connection. */
  subscription: Subscription<V> | undefined;
  /** By which the server names this page. */
  readonly id: string;
  readonly #idBytes: Uint8Array;
  readonly #init: LinkInit<V>;
  readonly #env: Env;
  #timer: Timer | undefined;
  #poll: Timer | undefined;
  #tries = 0;

  constructor(init: LinkInit<V>) {
    this.#init = init;
    this.#env = init.env ?? systemEnv;
    this.#idBytes = this.#env.randomBytes(12);
    this.id = randomId({ ...this.#env, randomBytes: () => this.#idBytes });
  }

  start(): void {
    this.#timer?.cancel();
    if (this.subscription !== undefined) return;
    this.state.value = { name: 'connecting' };
    const subscription: Subscription<V> = subscribe(this.#init.connector, this.#init.store(), {
      token: this.#init.token(),
      reconnect: false,
      timeoutMs: 10_000,
      env: this.#knownEnv(),
      onChange: (change) => this.#init.onChange(change, subscription.status()),
      onReady: () => {
        this.#tries = 0;
        this.#look(subscription);
      },
      onError: (error) => {
        if (subscription.status().state === 'closed') this.#ended(subscription, error);
      },
    });
    this.subscription = subscription;
    this.#watch(subscription);
  }

  /** Does not wait any longer. */
  retry(): void {
    if (this.state.value.name !== 'waiting' && this.subscription !== undefined) return;
    this.start();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#poll?.cancel();
    const { subscription } = this;
    this.subscription = undefined;
    await subscription?.close();
  }

  /** The world, except that the first random bytes of a subscription, its id, stay the same. */
  #knownEnv(): Env {
    let named = false;
    return {
      ...this.#env,
      randomBytes: (length) => {
        if (named || length !== this.#idBytes.length) return this.#env.randomBytes(length);
        named = true;
        return this.#idBytes;
      },
    };
  }

  #watch(subscription: Subscription<V>): void {
    this.#poll?.cancel();
    this.#poll = this.#env.setTimer(() => {
      if (this.subscription !== subscription) return;
      this.#look(subscription);
      this.#watch(subscription);
    }, STATUS_EVERY_MS);
  }

  #look(subscription: Subscription<V>): void {
    if (this.subscription !== subscription) return;
    const status = subscription.status();
    this.status.value = status;
    const name = status.state === 'live' ? 'live' : status.connected ? 'syncing' : 'connecting';
    // A copy that is only a moment behind is not worth a word.
    if (this.state.value.name === 'live' && name === 'syncing' && status.lag < 100) return;
    if (this.state.value.name !== name) this.state.value = { name };
  }

  #ended(subscription: Subscription<V>, error: Error): void {
    if (this.subscription !== subscription) return;
    this.subscription = undefined;
    this.status.value = undefined;
    this.#poll?.cancel();
    if (isStrataError(error, 'denied')) this.state.value = { name: 'denied' };
    else if (isStrataError(error, 'conflict')) this.#startAnew();
    else if (isStrataError(error, ...LASTING) && !error.retryable)
      this.state.value = { name: 'failed', error };
    else this.#wait(error);
  }

  #startAnew(): void {
    this.state.value = { name: 'syncing' };
    this.#init.discard().then(
      () => this.start(),
      (cause: unknown) => {
        const error = new StrataError('unavailable', 'The local copy could not be removed', {
          operation: 'subscribe',
          cause,
        });
        this.state.value = { name: 'failed', error };
      },
    );
  }

  #wait(error: Error): void {
    const delayMs = backoffMs(this.#env, this.#tries++, BACKOFF);
    this.state.value = { name: 'waiting', untilMs: this.#env.monotonicMs() + delayMs, error };
    this.#timer = this.#env.setTimer(() => this.start(), delayMs);
  }
}
