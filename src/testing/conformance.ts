import type { Capabilities } from '../store/capabilities.ts';
import * as is from '../store/option-rules.ts';
import { checkOptions } from '../store/options.ts';
import type { Store } from '../store/store.ts';
import type { Case, Need, StoreFactory } from './conformance/case.ts';
import { checkFactory, FACTORY_RULE } from './conformance/factory.ts';
import { themes } from './conformance/themes.ts';
import { World } from './conformance/world.ts';
import {
  type CaseFunction,
  declareGroups,
  RUNNER_RULE,
  skipCase,
  type TestRunner,
} from './runner.ts';
import { fittingValues, type SampleValues } from './values.ts';

/** What `conformance` runs, and on what. */
export interface ConformanceOptions<V> {
  /** The runner: its function that declares a case, or an object with `it` or `test`, and `describe`. */
  readonly test: TestRunner;
  /** Makes the stores; a function that gives a fresh, empty one is enough. */
  readonly factory: StoreFactory<V> | (() => Store<V> | Promise<Store<V>>);
  /** Stands before the names of all cases. */
  readonly name?: string;
}

const RULES = { test: RUNNER_RULE, factory: FACTORY_RULE, name: is.text };

/**
 * Declares the cases of the store contract for one kind of store: every promise of `Store`, chosen
 * by its capabilities; what it does not offer must be refused as `unsupported`.
 *
 * ```ts
 * import { describe, it } from 'vitest';
 * conformance({ test: { describe, it }, factory: () => memory() });
 * ```
 */
export function conformance<V>(options: ConformanceOptions<V>): void {
  checkOptions('conformance', options, RULES, ['test', 'factory']);
  const factory = checkFactory('conformance', options.factory);
  const group = declareGroups(options.test);
  const session = new Session(factory);
  for (const [theme, all] of Object.entries(themes)) {
    const cases = all.filter((one) => session.offers(one));
    // Some runners take an empty group for a mistake.
    if (cases.length === 0) continue;
    const title = options.name === undefined ? theme : `${options.name}: ${theme}`;
    group(title, (declare) => {
      for (const one of cases) declare(one.name, session.run(one));
    });
  }
}

/** The cases of one `conformance` call. */
class Session {
  readonly #factory: StoreFactory<unknown>;
  #values: SampleValues | undefined;

  constructor(factory: StoreFactory<unknown>) {
    this.#factory = factory;
    this.#values = factory.values;
  }

  offers({ factory: need }: Case): boolean {
    if (need === undefined) return true;
    if (need === 'copies') return this.#factory.sharesValues !== true;
    return this.#factory[need] !== undefined;
  }

  run(one: Case): CaseFunction {
    return async (...[runner]) => {
      const world = new World(this.#factory);
      try {
        const store = await world.create();
        const missing = one.needs?.find((need) => !has(store.capabilities, need));
        if (missing !== undefined) return skipCase(runner, `the store offers no ${missing}`);
        this.#values ??= await fittingValues(await world.create());
        await one.run(world.context(store, this.#values));
      } finally {
        await world.end();
      }
    };
  }
}

function has(capabilities: Capabilities, need: Need): boolean {
  switch (need) {
    case 'batch':
      return capabilities.atomic === 'batch';
    case 'conditional':
      return capabilities.conditional === 'all';
    case 'absent':
      return capabilities.conditional !== 'none';
    case 'records':
      return capabilities.bare !== true;
    default:
      return capabilities[need];
  }
}
