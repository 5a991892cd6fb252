import fc from 'fast-check';
import { describe, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { DynamoDbTable, prefixOf } from '../../../test/support/dynamodb-table.ts';
import type { Store } from '../../store/index.ts';
import { conformance, modelTest, type StoreFactory, simulatedEnv } from '../../testing/index.ts';
import { type DynamoDbOptions, dynamodb } from './index.ts';

type Run = (...context: unknown[]) => Promise<void>;
const test = { describe, it: (name: string, run: Run): void => it(name, run, 120_000) };
const BULKY = /thousands|large batches|more than one batch/;
const quick = {
  describe,
  it: (name: string, run: Run): void => {
    if (BULKY.test(name)) it.skip(`${name} (skipped: done with one shard)`, run);
    else test.it(name, run);
  },
};

describe('dynamodb', () => {
  const on = new DynamoDbTable();

  function factory(options: Partial<DynamoDbOptions> = {}): StoreFactory<unknown> {
    const open = (prefix: string): Store<unknown> =>
      dynamodb({
        client: on.client,
        table: on.table,
        prefix,
        timeoutMs: 60_000,
        ...options,
      }) as Store<unknown>;
    return {
      create: () => open(crypto.randomUUID()),
      reopen: async (store) => {
        await store.close();
        return open(prefixOf(store));
      },
      second: async (store) => open(prefixOf(store)),
      required: requiredCapabilities.dynamodb,
    };
  }

  conformance({ name: 'dynamodb', test, factory: factory() });
  conformance({ name: 'dynamodb, in 5 shards', test: quick, factory: factory({ shards: 5 }) });

  const env = simulatedEnv();
  for (const shards of [1, 3])
    modelTest({
      name: `dynamodb, in simulated time, shards: ${shards}`,
      test,
      fc,
      factory: { ...factory({ env, shards }), env },
      runs: 30,
      maxCommands: 25,
    });
});
