import type { Store } from '../../store/store.ts';
import { ok } from '../assert.ts';
import type { SampleValues } from '../values.ts';
import { type CaseContext, passTime, type StoreFactory, within } from './case.ts';

const CLOSE_MS = 10_000;

/** The stores of one case. */
export class World {
  readonly #factory: StoreFactory<unknown>;
  readonly #stores: Store<unknown>[] = [];

  constructor(factory: StoreFactory<unknown>) {
    this.#factory = factory;
  }

  async create(): Promise<Store<unknown>> {
    return this.#keep(await this.#factory.create());
  }

  context(store: Store<unknown>, values: SampleValues): CaseContext {
    const { reopen, second, env, required } = this.#factory;
    return {
      store,
      values,
      env,
      required: required ?? {},
      value: (n) => values.nth(n),
      another: () => this.create(),
      reopen: async (former) => {
        ok(reopen !== undefined, 'the factory can reopen a store');
        return this.#keep(await reopen.call(this.#factory, former));
      },
      second: async (first) => {
        ok(second !== undefined, 'the factory can open a second handle');
        return this.#keep(await second.call(this.#factory, first));
      },
      pass: (ms) => passTime(env, ms),
    };
  }

  async end(): Promise<void> {
    for (const store of this.#stores) await within(CLOSE_MS, store.close(), 'the close of a store');
    for (const store of this.#stores) await this.#factory.destroy?.(store);
  }

  #keep(store: Store<unknown>): Store<unknown> {
    this.#stores.push(store);
    return store;
  }
}
