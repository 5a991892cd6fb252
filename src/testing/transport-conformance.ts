import type { OptionRule } from '../store/option-rules.ts';
import * as is from '../store/option-rules.ts';
import { checkOptions } from '../store/options.ts';
import { declareGroups, RUNNER_RULE, type TestRunner } from './runner.ts';
import { delivery, type TransportCase } from './transports/delivery.ts';
import { ending } from './transports/ending.ts';
import { serving } from './transports/serving.ts';
import { type TransportFactory, TransportWorld } from './transports/world.ts';

/** What `transportConformance` runs, and on what. */
export interface TransportConformanceOptions {
  /** The runner, as for `conformance`. */
  readonly test: TestRunner;
  /** Makes the servers that the cases connect to. */
  readonly factory: TransportFactory;
  /** Stands before the names of all cases. */
  readonly name?: string;
}

const FACTORY: OptionRule = {
  expected: 'an object with listen(accept)',
  accepts: (v) => typeof (v as Partial<TransportFactory> | null)?.listen === 'function',
};
const RULES = { test: RUNNER_RULE, factory: FACTORY, name: is.text };

const themes: Readonly<Record<string, readonly TransportCase[]>> = { delivery, ending, serving };

/**
 * Declares the cases of the transport contract for one kind of transport: order, large messages,
 * the end of connections, backpressure, many connections, and replication over it. Both ends are
 * in the process of the tests. Runs in real time, a few seconds.
 *
 * ```ts
 * transportConformance({
 *   test: { describe, it },
 *   factory: {
 *     listen: (accept) => ({
 *       connector: {
 *         connect() {
 *           const [near, far] = channelPair();
 *           accept(far);
 *           return near;
 *         },
 *       },
 *     }),
 *   },
 * });
 * ```
 */
export function transportConformance(options: TransportConformanceOptions): void {
  checkOptions('transportConformance', options, RULES, ['test', 'factory']);
  const group = declareGroups(options.test);
  for (const [theme, cases] of Object.entries(themes)) {
    const title = options.name === undefined ? theme : `${options.name}: ${theme}`;
    group(title, (declare) => {
      for (const one of cases)
        declare(one.name, async () => {
          const world = new TransportWorld(options.factory);
          try {
            await one.run(world);
          } finally {
            await world.end();
          }
        });
    });
  }
}
