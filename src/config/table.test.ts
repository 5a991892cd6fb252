import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { optionsPage } from '../../test/support/config-reference.ts';
import { accepts } from '../../test/support/json-schema.ts';
import { loadedModules } from '../../test/support/loaded-modules.ts';
import { checkReplicaOptions } from '../compositions/replica/options.ts';
import { checkTieredOptions } from '../compositions/tiered/options.ts';
import { type DynamoDbOptions, dynamodb } from '../drivers/dynamodb/index.ts';
import { file } from '../drivers/file/index.ts';
import { indexeddb } from '../drivers/indexeddb/index.ts';
import { lmdb } from '../drivers/lmdb/index.ts';
import { lru } from '../drivers/lru/index.ts';
import { memory } from '../drivers/memory/index.ts';
import { redis } from '../drivers/redis/index.ts';
import { type S3Options, s3 } from '../drivers/s3/index.ts';
import { sqlite } from '../drivers/sqlite/index.ts';
import { bounded } from '../layers/bounded/index.ts';
import { observed } from '../layers/observed/index.ts';
import { prefixed } from '../layers/prefixed.ts';
import { watchable } from '../layers/watchable/index.ts';
import { checkConfig, configSchema, type Definitions } from './index.ts';
import { TYPE_NAMES, TYPES } from './types/index.ts';

/** Values that an option may be given by mistake, and some that are right. */
const PROBES: readonly unknown[] = [
  ...[0, 1, 2, -1, 1.5, 4_095, 4_096, 2 ** 53, 1e300, true, false, null, [], [1]],
  ...['', 'x', 'all', 'os', 'disk', 'memory', 'behind', 'front-only', 'await', 'block', 'mirror'],
  ...['overwrite', 'isolate', 'hedged', 'redis://h', 'REDISS://h:1/0', 'redis://', 'http://h'],
  ...['{x}', 'p'.repeat(64), 'é'.repeat(32), 'é'.repeat(33), 'p'.repeat(129), '\u0000x', '\ud800'],
];

/** How each type is made, with options of which one is wrong: it refuses before it opens anything. */
const MAKERS: Partial<Record<keyof Definitions, (options: never) => unknown>> = {
  memory,
  lmdb,
  sqlite,
  file,
  // What only one mode has is asked of that mode.
  redis: (options: object) =>
    redis('allowEviction' in options ? ({ mode: 'plain', ...options } as never) : options),
  dynamodb: (options: object) =>
    dynamodb({ client: { send: () => {} }, table: 't', ...options } as never),
  s3: (options: object) => s3({ client: { send: () => {} }, ...options } as never),
  indexeddb,
  observed: (options) => observed(memory(), options),
  bounded: (options) => bounded(memory(), options),
  watchable: (options) => watchable(memory(), options),
  tiered: checkTieredOptions,
  replica: checkReplicaOptions,
};

/** Options that make the client of a store. */
const OF_CLIENT = ['region', 'endpoint', 'pathStyle', 'accessKeyId', 'secretAccessKey'];

/** What a store says of an option, by what it complains of first: the option, or the unknown one after it. */
function storeAccepts(make: (options: never) => unknown, options: object, name: string): boolean {
  try {
    make({ ...options, noSuchOption: 1 } as never);
  } catch (error) {
    const { message } = error as Error;
    if (message.includes('unknown option "noSuchOption"')) return true;
    if (message.includes(name)) return false;
    throw error;
  }
  throw new Error('an unknown option was accepted');
}

const withValues = Object.entries(MAKERS).flatMap(([type, make]) =>
  Object.entries(TYPES[type as keyof Definitions].fields).flatMap(([name, field]) =>
    field.kind === 'value' && field.resolve === undefined && !OF_CLIENT.includes(name)
      ? [{ type, name, make, field }]
      : [],
  ),
);

describe('the table of options', () => {
  test.each(withValues)('$type.$name takes what the store takes', ({ name, make, field }) => {
    for (const probe of PROBES)
      expect([probe, field.shape.rule.accepts(probe)]).toEqual([
        probe,
        storeAccepts(make, { [name]: probe }, name),
      ]);
  });

  test('takes the prefixes that prefixed takes, and the bounds that lru takes', async () => {
    const taken = (make: () => unknown): boolean => {
      try {
        make();
        return true;
      } catch {
        return false;
      }
    };
    for (const probe of PROBES) {
      const prefix = await checkConfig({ type: 'prefixed', store: 'memory:', prefix: probe });
      expect([probe, prefix.length === 0]).toEqual([
        probe,
        taken(() => prefixed(memory(), probe as never)),
      ]);
      for (const name of ['maxEntries', 'maxBytes']) {
        const bound = await checkConfig({ type: 'memory', evict: { [name]: probe } });
        expect([probe, bound.length === 0]).toEqual([
          probe,
          taken(() => lru({ [name]: probe } as never)),
        ]);
      }
    }
  });

  test('has every option of dynamodb, whose definition is written out', () => {
    const fields: Readonly<Record<Exclude<keyof DynamoDbOptions, 'client' | 'env'>, unknown>> =
      TYPES.dynamodb.fields;
    expect(fields.table).toBeDefined();
  });

  test('has every option of s3, whose definition is written out', () => {
    const fields: Readonly<Record<Exclude<keyof S3Options, 'client' | 'env'>, unknown>> =
      TYPES.s3.fields;
    expect(fields.bucket).toBeDefined();
  });

  test('knows every driver, layer and composition of the library', () => {
    const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
    const drivers = JSON.stringify(exports).matchAll(/dist\/drivers\/([^/]+)\/index\.js/g);
    const others = readFileSync('src/index.ts', 'utf8').matchAll(
      /from '\.\/(?:drivers|layers|compositions)\/([^/.]+)/g,
    );
    const names = new Set([...drivers, ...others].map(([, name]) => name));
    // What bounds a store in memory is an option of it.
    names.delete('lru');
    expect(names.size).toBeGreaterThan(10);
    // A new one needs an entry in src/config/types.
    expect([...names].sort()).toEqual([...TYPE_NAMES].sort());
  });

  test('tells of every option what it does', () => {
    for (const { doc, fields } of Object.values(TYPES))
      for (const text of [doc, ...Object.values(fields).map((field) => field.doc)])
        expect(text).toMatch(/^\S.*[.]$/);
  });
});

test('the page of options is the one of the table', async () => {
  await expect(optionsPage()).toMatchFileSnapshot('../../docs/configuration-options.md');
});

describe('the schema', () => {
  const schema = configSchema();

  test('is the one that is published', async () => {
    await expect(`${JSON.stringify(schema, undefined, 2)}\n`).toMatchFileSnapshot(
      '../../strata.schema.json',
    );
  });

  test('takes what the check takes', async () => {
    const inside = { type: 'memory' };
    for (const [type, { fields }] of Object.entries(TYPES)) {
      const least = Object.fromEntries(
        Object.entries(fields).flatMap(([name, { kind, required }]) => {
          if (required !== true) return [];
          const values = { value: 'json', store: inside, stores: [inside], group: {}, map: {} };
          return [[name, name === 'url' ? 'redis://h' : values[kind]]];
        }),
      );
      for (const name of [...Object.keys(fields), 'type', 'noSuchOption'])
        for (const probe of [...PROBES, undefined, {}, { env: 'PATH' }, { env: '' }, inside]) {
          const { [name]: _, ...others } = { type, ...least } as Record<string, unknown>;
          const config = probe === undefined ? others : { ...others, [name]: probe };
          const faults = await checkConfig(config, { environment: undefined });
          // What contradicts something else, and the finer points of texts, is beyond a schema.
          const own = faults.filter(
            ({ path, message }) => path.startsWith(name) && !FINER.test(message),
          );
          if (own.length === 0 && faults.length > 0) continue;
          expect([config, accepts(schema, config)]).toEqual([config, own.length === 0]);
        }
    }
  });

  /** What the check refuses and the schema lets pass. */
  const FINER =
    /beside it|well-formed|no bound|another write policy|with a feed|whole number from 1 to|without a feed|none with|redis:..host:|or neither/;
});

describe('loading', () => {
  const config = (definition: object): string => `
    import { openStore } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    const store = await openStore(${JSON.stringify(definition)}, 'main');
    await store.close();`;
  const isStore = /src\/(drivers|layers|compositions)\/([^/.]+)/;

  test.each<[object, string[]]>([
    [{ type: 'memory' }, ['memory']],
    [
      { type: 'tiered', front: { type: 'memory' }, back: { type: 'sqlite', path: ':memory:' } },
      ['memory', 'sqlite', 'tiered'],
    ],
  ])('%j imports what it names, and nothing else', async (definition, expected) => {
    const modules = await loadedModules(config(definition));
    const parts = new Set(modules.map((url) => isStore.exec(url)?.[2]).filter(Boolean));
    expect([...parts].sort()).toEqual(expected);
    expect(modules.filter((url) => url.includes('node_modules'))).toEqual([]);
  });
});
