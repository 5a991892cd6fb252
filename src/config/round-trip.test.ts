import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { describeWithEngine, redisUrl } from '../../test/support/engines.ts';
import { accepts } from '../../test/support/json-schema.ts';
import {
  SAMPLE_ENVIRONMENT,
  sampleDefinitions,
  samplePlainRedis,
} from '../../test/support/sample-definitions.ts';
import { describeStore } from '../store/index.ts';
import {
  checkConfig,
  configSchema,
  type Definitions,
  defineConfig,
  openStore,
  type StoreDefinition,
} from './index.ts';
import { TYPES } from './types/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'stratakv-config-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const samples = sampleDefinitions(dir, 'redis://127.0.0.1:6379');
const names = Object.keys(TYPES) as (keyof Definitions)[];

/** A value that the codec of a sample carries. */
const VALUES: Partial<Record<keyof Definitions, unknown>> = {
  lmdb: { n: 1 },
  sqlite: { n: 1 },
  file: 'one',
  redis: { n: 1 },
  encoded: { n: 1 },
};

async function use(definition: StoreDefinition, value: unknown): Promise<void> {
  const asJson = JSON.parse(JSON.stringify({ stores: { it: definition } }));
  await using store = await openStore(asJson, 'it', { environment: SAMPLE_ENVIRONMENT });
  expect(describeStore(store).type).toBe(definition.type);
  if (definition.type === 'readonly') {
    await expect(store.set('user:1', value)).rejects.toMatchObject({ code: 'denied' });
    return;
  }
  await store.set('user:1', value);
  expect(await store.get('user:1')).toEqual(value);
}

describe('every type as data', () => {
  test.each(names)('%s has a sample with every option', (name) => {
    const { type: _, ...options } = samples[name];
    const names = new Set(Object.keys(options));
    // Options that exclude each other have a sample each.
    if (name === 'redis')
      for (const other of Object.keys(samplePlainRedis('redis://h'))) names.add(other);
    names.delete('type');
    expect([...names].sort()).toEqual(Object.keys(TYPES[name].fields).sort());
  });

  test.each(names)('%s passes the check and the schema, alone and by name', async (name) => {
    for (const config of [samples[name], { stores: { it: samples[name] } }]) {
      const asJson = JSON.parse(JSON.stringify(config));
      expect(asJson).toEqual(config);
      expect(await checkConfig(asJson, { environment: SAMPLE_ENVIRONMENT })).toEqual([]);
      expect(accepts(configSchema(), asJson)).toBe(true);
    }
  });

  test.each(names.filter((name) => !['redis', 's3', 'dynamodb', 'indexeddb'].includes(name)))(
    '%s opens and holds a value',
    async (name) => {
      await use(samples[name], VALUES[name] ?? Uint8Array.of(1, 2));
    },
  );

  describeWithEngine('redis', 'with a server', () => {
    test('redis opens and holds a value', async () => {
      await use(sampleDefinitions(dir, redisUrl()).redis, VALUES.redis);
    });

    test('redis in plain mode opens and holds a value', async () => {
      await use(samplePlainRedis(redisUrl()), VALUES.redis);
    });
  });

  test.each(['indexeddb', 's3', 'dynamodb'] as const)(
    '%s opens, and its calls fail where there is none',
    async (name) => {
      await using store = await openStore(samples[name], 'main', {
        environment: SAMPLE_ENVIRONMENT,
      });
      await expect(store.get('a')).rejects.toMatchObject({ name: 'StrataError' });
    },
  );

  test('the options arrive at the store', async () => {
    await using store = await openStore(samples.replica, 'main');
    expect(describeStore(store)).toMatchObject({
      type: 'replica',
      parts: {
        'sync[0]': { type: 'lmdb', details: { path: join(dir, 'first') } },
        'sync[1]': { type: 'sqlite', details: { path: join(dir, 'second.db') } },
        'async[0]': { type: 'file', details: { path: join(dir, 'third') } },
      },
    });
  });
});

test('defineConfig gives back what it is given, with its type', async () => {
  const config = defineConfig({ stores: { one: { type: 'memory', evict: { maxEntries: 2 } } } });
  expect(config.stores.one.evict.maxEntries).toBe(2);
  await using store = await openStore(config, 'one');
  for (const key of ['a', 'b', 'c']) await store.set(key, 1);
  expect((await Array.fromAsync(store.keys())).length).toBe(2);
});
