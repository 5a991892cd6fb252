/** One store of every type as data, with every option of it. */
import type { Definitions } from '../../src/config/index.ts';

/** Variables that the samples name. */
export const SAMPLE_ENVIRONMENT: Readonly<Record<string, string>> = {
  SAMPLE_KEY_OLD: 'ab'.repeat(32),
  SAMPLE_KEY_NEW: Buffer.alloc(32, 7).toString('base64'),
};

type Some<Name extends keyof Definitions> = Pick<Definitions, Name>;

const LOG = { logBytes: 1_000_000, tombstoneMs: 60_000, tombstoneBytes: 100_000 };

const inner = (dir: string, name: string): Definitions['sqlite'] => ({
  type: 'sqlite',
  path: `${dir}/${name}.db`,
});

/** Every option of every type, each with a value that is not its default. Paths lie in `dir`. */
export function sampleDefinitions(dir: string, redisUrl: string): Definitions {
  return {
    ...inProcess(dir),
    ...elsewhere(redisUrl),
    ...layers((name) => inner(dir, name), dir),
    ...tieredSample(dir),
    ...replicaSample(dir),
  };
}

function inProcess(dir: string): Some<'memory' | 'lmdb' | 'sqlite' | 'file'> {
  return {
    memory: {
      type: 'memory',
      zeroCopy: true,
      codec: 'raw',
      evict: { maxEntries: 100, maxBytes: 100_000 },
      ...LOG,
      timeoutMs: 3_000,
    },
    lmdb: {
      type: 'lmdb',
      path: `${dir}/lmdb`,
      codec: 'json',
      durability: 'os',
      readonly: false,
      pollMs: 10,
      ...LOG,
      commitsKept: 1_000,
      timeoutMs: 3_000,
    },
    sqlite: {
      type: 'sqlite',
      path: `${dir}/sqlite.db`,
      codec: 'messagepack',
      durability: 'os',
      readonly: false,
      maxBytes: 10_000_000,
      pollMs: 10,
      ...LOG,
      commitsKept: 1_000,
      timeoutMs: 3_000,
    },
    file: {
      type: 'file',
      path: `${dir}/files`,
      codec: 'text',
      durability: 'os',
      readonly: false,
      timeoutMs: 3_000,
    },
  };
}

function elsewhere(redisUrl: string): Some<'redis' | 's3' | 'dynamodb' | 'indexeddb'> {
  return {
    redis: {
      type: 'redis',
      url: redisUrl,
      prefix: 'config',
      codec: 'json',
      durability: 'memory',
      ...LOG,
      commitsKept: 1_000,
      timeoutMs: 3_000,
    },
    s3: {
      type: 's3',
      bucket: 'data',
      prefix: 'config/users',
      create: true,
      conditional: 'none',
      codec: 'json',
      durability: 'quorum',
      region: 'us-east-1',
      endpoint: 'http://127.0.0.1:1',
      pathStyle: true,
      accessKeyId: 'SAMPLE',
      secretAccessKey: { env: 'SAMPLE_KEY_OLD' },
      timeoutMs: 500,
    },
    dynamodb: {
      type: 'dynamodb',
      table: 'data',
      prefix: 'config',
      shards: 2,
      create: true,
      codec: 'json',
      durability: 'quorum',
      region: 'us-east-1',
      endpoint: 'http://127.0.0.1:1',
      accessKeyId: 'SAMPLE',
      secretAccessKey: { env: 'SAMPLE_KEY_OLD' },
      timeoutMs: 500,
    },
    indexeddb: {
      type: 'indexeddb',
      name: 'config',
      durability: 'os',
      codec: 'json',
      openTimeoutMs: 1_000,
      pollMs: 1_000,
      ...LOG,
      timeoutMs: 3_000,
    },
  };
}

type Layer = 'readonly' | 'encoded' | 'prefixed' | 'observed' | 'bounded' | 'watchable' | 'sealed';

function layers(inside: (name: string) => Definitions['sqlite'], dir: string): Some<Layer> {
  return {
    readonly: { type: 'readonly', store: inside('readonly') },
    encoded: { type: 'encoded', store: inside('encoded'), codec: 'json' },
    prefixed: { type: 'prefixed', store: inside('prefixed'), prefix: 'user:' },
    observed: { type: 'observed', store: inside('observed'), name: 'users', diagnostics: false },
    bounded: {
      type: 'bounded',
      store: inside('bounded'),
      maxConcurrent: 4,
      maxWaiting: 100,
      maxValueBytes: 1_000,
    },
    watchable: {
      type: 'watchable',
      store: { type: 'file', path: `${dir}/watched` },
      logBytes: 10_000,
      tombstones: 100,
    },
    sealed: {
      type: 'sealed',
      store: inside('sealed'),
      storeId: 'users',
      compress: 'zstd',
      keys: { old: { env: 'SAMPLE_KEY_OLD' }, new: { env: 'SAMPLE_KEY_NEW' } },
      keyId: 'new',
      maxBytes: 100_000,
    },
  };
}

function tieredSample(dir: string): Some<'tiered'> {
  return {
    tiered: {
      type: 'tiered',
      front: { type: 'memory' },
      back: inner(dir, 'back'),
      write: 'behind',
      read: 'front-first',
      ttlMs: 60_000,
      staleWhileRevalidateMs: 1_000,
      graceMs: 1_000,
      negativeTtlMs: 1_000,
      follow: true,
      maxLagMs: 30_000,
      populate: 'await',
      backTimeoutMs: 1_000,
      breaker: { failures: 3, pauseMs: 100, maxPauseMs: 1_000 },
      frontTimeoutMs: 500,
      maxFenced: 1_000,
      warmOnOpen: { strategy: 'mirror', prefix: 'user:', batchKeys: 10, concurrency: 2 },
      journal: { type: 'lmdb', path: `${dir}/journal` },
      maxPending: { keys: 1_000, bytes: 1_000_000 },
      whenFull: 'reject',
      onConflict: 'keep-back',
      retry: { minMs: 10, maxMs: 100 },
      leaseMs: 2_000,
      timeoutMs: 3_000,
    },
  };
}

function replicaSample(dir: string): Some<'replica'> {
  return {
    replica: {
      type: 'replica',
      sync: [{ type: 'lmdb', path: `${dir}/first` }, `sqlite:${dir}/second.db`],
      async: [{ type: 'file', path: `${dir}/third` }],
      write: 1,
      intents: false,
      read: 'hedged',
      queueLength: 100,
      queueBytes: 1_000_000,
      everyWrite: true,
      asyncFailure: 'fail-store',
      journal: `sqlite:${dir}/replica-journal.db`,
      journalBytes: 1_000_000,
      memberTimeoutMs: 1_000,
      retry: { minMs: 10, maxMs: 100 },
      maxFenced: 1_000,
      timeoutMs: 3_000,
    },
  };
}

/** `redis` in plain mode, with every option that it has there. */
export function samplePlainRedis(url: string): Definitions['redis'] {
  return {
    type: 'redis',
    mode: 'plain',
    url,
    prefix: 'config:',
    codec: 'json',
    durability: 'memory',
    allowEviction: true,
    timeoutMs: 3_000,
  };
}
