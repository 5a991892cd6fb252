import { attempt } from '../../kernel/awaitable.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { FeedState, Primitives } from '../../store/primitives.ts';
import type { Source } from './copies.ts';

/** Learns the name of the back once. A back without a feed has none; one that does not tell is asked again later. */
export class SourceName<V> {
  readonly #back: Primitives<V>;
  readonly #timeoutMs: number;
  readonly #nameless: Source;
  #known: Source | undefined;
  #asking: Promise<Source> | undefined;

  constructor(back: Primitives<V>, timeoutMs: number) {
    this.#back = back;
    this.#timeoutMs = timeoutMs;
    this.#nameless = this.#named('');
    if (back.feed === undefined) this.#known = this.#nameless;
  }

  /** The name as far as it is at hand. */
  now(): Source {
    if (this.#known !== undefined) return this.#known;
    try {
      return this.#learn(this.#back.blocking?.state?.());
    } catch {
      return this.#nameless;
    }
  }

  /** The name, asked for where it is not known yet; never fails. */
  get(): Awaitable<Source> {
    if (this.#known !== undefined) return this.#known;
    if (this.#asking !== undefined) return this.#asking;
    const call = new Call(this.#back.env, 'cursor', undefined, { timeoutMs: this.#timeoutMs });
    return attempt(
      () => {
        const state = this.#back.feed?.state(call);
        if (!(state instanceof Promise)) return state;
        const asking = call.guard(state);
        this.#asking = asking.then(
          (told) => this.#learn(told),
          () => this.#learn(undefined),
        );
        return asking;
      },
      (told) => this.#learn(told),
      () => this.#learn(undefined),
    );
  }

  #learn(state: FeedState | undefined): Source {
    this.#asking = undefined;
    if (state === undefined) return this.#nameless;
    this.#known = this.#named(state.storeId);
    return this.#known;
  }

  #named(id: string): Source {
    const { feed } = this.#back;
    return {
      id,
      epochOf: (rev) => {
        try {
          return feed?.epochOf(rev) ?? '';
        } catch {
          return '';
        }
      },
    };
  }
}
