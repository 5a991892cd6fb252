import { isStrataError } from './errors.ts';
import type { SetOptions } from './operations.ts';
import type { Store } from './store.ts';

/** Runs one loader a key, however many callers wait for it, and stores what it gives. */
export class SingleLoad<V> {
  readonly #store: Store<V>;
  readonly #loading = new Map<string, Promise<V>>();

  constructor(store: Store<V>) {
    this.#store = store;
  }

  /** The running load of a key, or a new one. It belongs to all its callers: one that gives up does not end it. */
  load(key: string, loader: () => V | Promise<V>, options: Omit<SetOptions, 'if'>): Promise<V> {
    const running = this.#loading.get(key);
    if (running !== undefined) return running;
    const loading = this.#run(key, loader, options).finally(() => this.#loading.delete(key));
    this.#loading.set(key, loading);
    return loading;
  }

  async #run(
    key: string,
    loader: () => V | Promise<V>,
    options: Omit<SetOptions, 'if'>,
  ): Promise<V> {
    const store = this.#store;
    const value = await loader();
    const conditional = store.capabilities.conditional !== 'none';
    try {
      await store.set(key, value, conditional ? { ...options, if: 'absent' } : options);
      return value;
    } catch (error) {
      // Another writer came first: its value is the one that everybody sees.
      if (!isStrataError(error, 'conflict')) throw error;
      return (await store.get(key)) ?? value;
    }
  }
}
