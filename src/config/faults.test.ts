import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import { checkConfig, openStore } from './index.ts';

const dir = mkdtempSync(join(tmpdir(), 'stratakv-config-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const mem = { type: 'memory' };
const lmdb = { type: 'lmdb', path: `${dir}/a` };
const file = { type: 'file', path: `${dir}/f` };
const known =
  'memory, lmdb, sqlite, file, redis, s3, dynamodb, indexeddb, readonly, encoded, prefixed, observed, bounded, watchable, sealed, tiered, replica';

const selfHolding: { type: string; store?: unknown } = { type: 'readonly' };
selfHolding.store = selfHolding;

/** What is given, and each fault: its path, and what its message says. */
const cases: readonly (readonly [string, unknown, Readonly<Record<string, string>>])[] = [
  ['nothing', undefined, { '': 'is undefined; expected { "stores": { … } }' }],
  ['a list', [mem], { '': 'is an array of 1; expected' }],
  ['an open store', memory(), { '': 'expected { "stores": { … } }' }],
  ['no stores', {}, { stores: 'is missing; expected stores by name' }],
  ['an empty set of stores', { stores: {} }, { stores: 'at least one' }],
  ['a list of stores', { stores: [mem] }, { stores: 'is an array of 1; expected stores by name' }],
  ['an unknown entry', { stores: { a: mem }, store: 1 }, { store: 'did you mean stores?' }],
  [
    'a store that is a number',
    { stores: { a: 42 } },
    { 'stores.a': 'is 42; expected { "type": … } or an address' },
  ],
  [
    'null in a name that is no word',
    { stores: { 'a b': null } },
    { 'stores["a b"]': 'is null; expected' },
  ],
  ['no type', { stores: { a: {} } }, { 'stores.a.type': `is missing; expected one of ${known}` }],
  ['a type that is no text', { stores: { a: { type: 1 } } }, { 'stores.a.type': 'is 1; expected' }],
  [
    'an unknown type',
    { type: 'replica', sync: [lmdb, { type: 'lmbd', path: 'b' }] },
    { 'sync[1].type': `unknown type "lmbd"; known types are ${known}; did you mean lmdb?` },
  ],
  [
    'a type of the prototype',
    { type: 'constructor' },
    { type: 'unknown type "constructor"; known types' },
  ],
  [
    'an unknown option',
    { type: 'replica', sync: [lmdb], queuelength: 5 },
    { queuelength: 'unknown option; did you mean queueLength?' },
  ],
  [
    'an option of the prototype',
    JSON.parse('{"type":"readonly","store":"memory:","__proto__":{},"toString":1}'),
    { ['__proto__']: 'unknown option', toString: 'unknown option; a readonly takes store' },
  ],
  [
    'an option that only a program can give',
    { type: 'memory', env: {}, onEvent: 1 },
    { env: 'unknown option', onEvent: 'unknown option' },
  ],
  ['a missing option', { type: 'lmdb' }, { path: 'is missing; expected a non-empty string' }],
  [
    'a missing store',
    { type: 'tiered', front: mem },
    { back: 'is missing; expected a store: { "type": … }' },
  ],
  ['null as an option', { ...lmdb, pollMs: null }, { pollMs: 'is null; expected a number of ms' }],
  [
    'several at once, in several places',
    {
      stores: {
        a: { ...lmdb, durability: 'ram', path: '' },
        b: { type: 'tiered', front: { type: 'memory', evict: { maxEntries: 0 } }, back: 'nowhere' },
      },
    },
    {
      'stores.a.path': 'is ""; expected a non-empty string',
      'stores.a.durability': `is "ram"; expected one of 'os', 'disk'`,
      'stores.b.front.evict.maxEntries': 'is 0; expected a whole number of at least 1',
      'stores.b.back': 'is "nowhere"; expected an address such as lmdb:./data',
    },
  ],
  [
    'an unknown option within an option',
    { type: 'tiered', front: mem, back: lmdb, breaker: { failure: 1 } },
    { 'breaker.failure': 'unknown option; did you mean failures?' },
  ],
  [
    'a word in place of options',
    { type: 'tiered', front: mem, back: lmdb, breaker: 'off' },
    { breaker: 'is "off"; expected false or an object with failures, pauseMs, maxPauseMs' },
  ],
  [
    'bounds without a bound',
    { type: 'memory', evict: {} },
    { evict: 'no bound is given; expected maxEntries or maxBytes' },
  ],
  [
    'a codec that is no name',
    { ...lmdb, codec: 'yaml' },
    { codec: `is "yaml"; expected one of 'json', 'text', 'raw', 'messagepack'` },
  ],
  ['one store for several', { type: 'replica', sync: lmdb }, { sync: 'expected an array of at' }],
  ['an empty synchronous set', { type: 'replica', sync: [] }, { sync: 'is empty; expected' }],
  [
    'an open store inside',
    { type: 'readonly', store: memory() },
    { store: 'is an open store; expected data' },
  ],
  [
    'addresses that are none',
    { type: 'replica', sync: ['lmbd:./a', 'ws://h/', 'redis:', 'sqlite:'] },
    {
      'sync[0]': 'is "lmbd:./a"; expected one such as lmdb:./data',
      'sync[1]': 'is a served store; expected one that is opened here',
      'sync[2]': 'is "redis:"; expected one such as redis://host:6379/prefix',
      'sync[3]': 'is "sqlite:"; expected a path',
    },
  ],
  ['one that holds itself', selfHolding, { [Array(33).fill('store').join('.')]: 'more than 32' }],
  [
    'durability of what has none',
    { type: 'sqlite', path: ':memory:', durability: 'os' },
    { durability: 'is "os"; expected none with :memory:' },
  ],
  [
    'options that the mode does not have',
    {
      stores: {
        a: { type: 'redis', url: 'redis://h', mode: 'plain', logBytes: 1 },
        b: { type: 'redis', url: 'redis://h', allowEviction: false },
      },
    },
    {
      'stores.a.logBytes': 'expected none in plain mode, which has no feed',
      'stores.b.allowEviction': 'expected none without the mode plain',
    },
  ],
  [
    'a table for a bucket, and half of the credentials',
    { type: 'dynamodb', table: 't', shards: 65, secretAccessKey: { env: 'PATH' } },
    { shards: 'is 65; expected a whole number of 1 to 64' },
  ],
  [
    'half of the credentials, and a secret that stands there',
    {
      stores: {
        a: { type: 's3', bucket: 'b', accessKeyId: 'k' },
        b: { type: 's3', bucket: 'b', accessKeyId: 'k', secretAccessKey: 'hush' },
      },
    },
    {
      'stores.a.secretAccessKey': 'expected both accessKeyId and secretAccessKey, or neither',
      'stores.b.secretAccessKey': 'stands here itself; expected { "env": "NAME" }',
    },
  ],
  [
    'a quorum larger than the set',
    { type: 'replica', sync: [lmdb, 'memory:'], write: 3 },
    { write: `is 3; expected 'all' or a whole number from 1 to 2` },
  ],
  [
    'a first store without a feed',
    { stores: { m: { type: 'replica', sync: [{ type: 'readonly', store: file }] } } },
    { 'stores.m.sync[0]': 'is "readonly"; expected a store with a feed' },
  ],
  [
    'a member that keeps no origins',
    {
      type: 'replica',
      sync: [lmdb],
      async: [{ type: 'redis', url: 'redis://h', mode: 'plain' }],
    },
    { 'async[0]': 'is "redis"; expected a store that keeps metadata and origins' },
  ],
  [
    'a member that evicts',
    {
      type: 'replica',
      sync: [lmdb],
      async: [{ type: 'memory', evict: { maxEntries: 5 } }],
    },
    { 'async[0]': 'is "memory"; expected a store that keeps what it is given' },
  ],
  [
    'journals that keep nothing',
    {
      stores: {
        r: { type: 'replica', sync: [lmdb], async: ['sqlite:b.db'], journal: 'memory:' },
        t: { type: 'tiered', front: mem, back: lmdb, write: 'behind', journal: file },
        n: { type: 'replica', sync: [lmdb], journal: 'sqlite:c.db' },
      },
    },
    {
      'stores.r.journal': `expected a store with a durability of at least 'os'`,
      'stores.t.journal': 'expected a store with atomic batches',
      'stores.n.journal': 'expected none without asynchronous stores',
    },
  ],
  [
    'a feed for what has one',
    { type: 'watchable', store: lmdb },
    { store: 'is "lmdb"; expected a store without a feed of its own' },
  ],
  [
    'options that need another',
    { type: 'tiered', front: mem, back: lmdb, graceMs: 5 },
    { graceMs: 'is 5; expected a `ttlMs` beside it' },
  ],
  [
    'following what cannot be followed',
    { type: 'tiered', front: mem, back: file, follow: true },
    { follow: 'is true; expected a back with a feed' },
  ],
  [
    'options in the wrong order',
    { type: 'tiered', front: mem, back: lmdb, write: 'behind', retry: { minMs: 9, maxMs: 1 } },
    { 'retry.minMs': 'is 9; expected at most retry.maxMs (1)' },
  ],
  [
    'the same store twice',
    { type: 'replica', sync: [lmdb, { type: 'observed', store: `lmdb:${dir}/a` }] },
    { 'sync[1].store': 'is the same store as sync[0]; expected a store of its own' },
  ],
  [
    'a part of a store beside the whole',
    { type: 'tiered', front: { type: 'prefixed', prefix: 'c:', store: lmdb }, back: lmdb },
    { back: 'is the same store as front.store' },
  ],
];

describe('what is wrong is told with its path, and nothing is opened', () => {
  test.each(cases)('%s', async (_, config, expected) => {
    const faults = await checkConfig(config);
    expect(faults.map(({ path }) => path).sort()).toEqual(Object.keys(expected).sort());
    for (const { path, message, code } of faults) {
      expect(message).toContain(expected[path]);
      expect(code).toBe('invalid-argument');
    }
    expect(existsSync(join(dir, 'a')) || existsSync(join(dir, 'f'))).toBe(false);
  });

  test('opening says it too, all of it in the details', async () => {
    const config = { type: 'replica', sync: [lmdb, { type: 'lmbd' }], queuelength: 0 } as never;
    await expect(openStore(config, 'main')).rejects.toMatchObject({
      code: 'invalid-argument',
      operation: 'open',
      message: expect.stringMatching(/^open: queuelength: unknown option.*; sync\[1\]\.type: /),
      details: {
        faults: [{ path: 'queuelength' }, { path: 'sync[1].type' }],
      },
    });
    expect(existsSync(join(dir, 'a'))).toBe(false);
  });

  test('parts of one store beside each other are stores of their own', async () => {
    const view = (prefix: string): object => ({ type: 'prefixed', prefix, store: lmdb });
    const config = { type: 'tiered', front: view('c:'), back: view('d:') };
    expect(await checkConfig(config)).toEqual([]);
  });
});

describe('the environment', () => {
  const config = {
    stores: { a: { type: 'redis', url: { env: 'REDIS' }, prefix: { env: 'PREFIX' } } },
  };

  test('gives values, and a missing variable is a fault', async () => {
    const environment = { REDIS: 'redis://h:1', PREFIX: 'p' };
    expect(await checkConfig(config, { environment })).toEqual([]);
    expect(await checkConfig(config, { environment: { REDIS: 'redis://h:1' } })).toEqual([
      {
        path: 'stores.a.prefix',
        message: 'the environment variable PREFIX is not set',
        code: 'invalid-argument',
      },
    ]);
  });

  test('is not looked at where it is not there', async () => {
    expect(await checkConfig(config, { environment: undefined })).toEqual([]);
    const two = { type: 'lmdb', path: { env: 'A' } };
    const replica = { type: 'replica', sync: [two, two] };
    expect(await checkConfig(replica, { environment: undefined })).toEqual([]);
  });

  test('its values and addresses are never shown', async () => {
    const secret = 'redis//user:hush@h';
    const faults = [
      ...(await checkConfig(config, { environment: { REDIS: secret, PREFIX: '{hush}' } })),
      ...(await checkConfig({ type: 'redis', url: secret })),
      ...(await checkConfig({ type: 'readonly', store: 'redis://user:hush@h/?x' })),
    ];
    expect(faults.map(({ path }) => path)).toEqual([
      'stores.a.url',
      'stores.a.prefix',
      'url',
      'store',
    ]);
    expect(JSON.stringify(faults)).not.toContain('hush');
    expect(faults[0]?.message).toBe(
      'the variable REDIS has another value; expected an address such as redis://127.0.0.1:6379',
    );
  });

  test.each([{ env: '' }, { env: 1 }, {}, { env: 'A', or: 'b' }])('%j names none', async (url) => {
    expect(await checkConfig({ type: 'redis', url })).toMatchObject([
      { path: 'url', message: expect.stringContaining('or { "env": "NAME" } alone') },
    ]);
  });

  test('alone gives keys', async () => {
    const sealed = (more: object): object => ({
      type: 'sealed',
      store: 'memory:',
      storeId: 's',
      ...more,
    });
    const environment = { SHORT: 'AAAA', A: 'ab'.repeat(32), B: 'cd'.repeat(32) };
    const [a, b] = [{ env: 'A' }, { env: 'B' }];
    const faults = async (more: object): Promise<object> =>
      Object.fromEntries(
        (await checkConfig(sealed(more), { environment })).map(({ path, message }) => [
          path,
          message,
        ]),
      );
    expect(await faults({ keys: { a, b }, keyId: 'a' })).toEqual({});
    expect(await faults({ keys: { a: 'ab'.repeat(32), 'b c': { env: 'SHORT' } } })).toEqual({
      'keys.a': 'stands here itself; expected { "env": "NAME" }',
      'keys["b c"]':
        'the variable SHORT has another value; expected 32 bytes in base64 or hexadecimal',
    });
    expect(await faults({ keys: { a, b } })).toMatchObject({ keyId: expect.any(String) });
    expect(await faults({ keys: { a }, keyId: 'b' })).toMatchObject({ keyId: expect.any(String) });
    expect(await faults({ keyId: 'b' })).toMatchObject({ keys: expect.any(String) });
    expect(await checkConfig(sealed({ keys: { a, b } }), { environment: undefined })).toEqual([]);
  });

  test('stands for texts only', async () => {
    const config = { ...lmdb, pollMs: { env: 'A' } };
    expect(await checkConfig(config, { environment: { A: '5' } })).toMatchObject([
      { path: 'pollMs', message: expect.stringContaining('expected a number of ms') },
    ]);
  });
});

describe('opening', () => {
  test('an unknown name is answered with those that there are', async () => {
    const config = { stores: { users: 'memory:', orders: 'memory:' } };
    await expect(openStore(config, 'user')).rejects.toMatchObject({
      message: 'open: there is no store "user"; did you mean users?',
    });
    await expect(openStore(config, 'zzzzzz')).rejects.toMatchObject({
      message: 'open: there is no store "zzzzzz"; it has users, orders',
    });
  });

  test('where one part fails, those that are open are closed and the error says which', async () => {
    const held = { type: 'file', path: join(dir, 'held') } as const;
    const first = { type: 'file', path: join(dir, 'first') } as const;
    const members = [{ type: 'watchable', store: first } as const, held];
    await using holder = await openStore(held, 'main');
    const config = { stores: { m: { type: 'replica', sync: members } } } as const;
    await expect(openStore(config, 'm')).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/^open: stores\.m\.sync\[1\]: /),
      details: { path: 'stores.m.sync[1]' },
    });
    // The first is free again: it has one writer at a time.
    await using again = await openStore(first, 'main');
    await again.set('a', Uint8Array.of(1));
    expect(await holder.get('a')).toBeUndefined();
  });

  test('a named store may be open already, or a function', async () => {
    const open = memory();
    const config = { stores: { open, made: async () => open } };
    expect(await checkConfig(config)).toEqual([]);
    expect(await openStore(config, 'open')).toBe(open);
    expect(await openStore(config, 'made')).toBe(open);
  });

  test('paths are where the caller says', async () => {
    const resolvePath = (path: string): string => join(dir, 'elsewhere', path);
    await using store = await openStore({ type: 'sqlite', path: 'x.db' }, 'main', { resolvePath });
    await store.set('a', Uint8Array.of(1));
    expect(existsSync(join(dir, 'elsewhere', 'x.db'))).toBe(true);
  });
});
