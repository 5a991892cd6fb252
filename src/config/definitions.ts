import type { ArchiveOptions } from '../compositions/archive/index.ts';
import type { ReplicaOptions } from '../compositions/replica/index.ts';
import type { TieredOptions } from '../compositions/tiered/index.ts';
import type { FileOptions } from '../drivers/file/index.ts';
import type { IndexedDbOptions } from '../drivers/indexeddb/index.ts';
import type { LmdbOptions } from '../drivers/lmdb/index.ts';
import type { LruLimits } from '../drivers/lru/index.ts';
import type { MemoryOptions } from '../drivers/memory/index.ts';
import type { RedisOptions } from '../drivers/redis/index.ts';
import type { SqliteOptions } from '../drivers/sqlite/index.ts';
import type { BoundedOptions } from '../layers/bounded/index.ts';
import type { ObservedOptions } from '../layers/observed/index.ts';
import type { WatchableOptions } from '../layers/watchable/index.ts';
import type { Durability } from '../store/capabilities.ts';
import type { Store } from '../store/store.ts';

/** A text that stands in an environment variable, such as an address with its password. */
export interface FromEnvironment {
  /** The variable's name. */
  readonly env: string;
}

/** A codec by its name; `messagepack` needs the npm package msgpackr. */
export type CodecName = 'json' | 'text' | 'raw' | 'messagepack';

/** Texts may come from the environment; what is a function cannot be written as data. */
type AsData<T> = T extends (...args: never[]) => unknown
  ? never
  : string extends T
    ? T | FromEnvironment
    : T;

/** Options as data. What belongs to the program alone is left out, and so is who closes parts: a store closes its own. */
type Data<O, Left extends PropertyKey = never> = {
  readonly [K in keyof O as K extends Left | 'env' | 'codec' | 'closeInner' | 'closeParts'
    ? never
    : K]: AsData<O[K]>;
};

interface WithCodec {
  /** How values become bytes; default none, the store then holds bytes. */
  readonly codec?: CodecName;
}

interface Over {
  /** The store inside. */
  readonly store: StoreDefinition | string;
}

/** `memory` as data. */
export interface MemoryDefinition extends Data<MemoryOptions, 'evict'>, WithCodec {
  readonly type: 'memory';
  /** Makes the store a cache within bounds. */
  readonly evict?: LruLimits;
}

/** `lmdb` as data. */
export interface LmdbDefinition extends Data<LmdbOptions>, WithCodec {
  readonly type: 'lmdb';
}

/** `sqlite` as data. */
export interface SqliteDefinition extends Data<SqliteOptions>, WithCodec {
  readonly type: 'sqlite';
}

/** `file` as data. */
export interface FileDefinition extends Data<FileOptions>, WithCodec {
  readonly type: 'file';
}

/** `redis` as data. */
export interface RedisDefinition extends Data<RedisOptions, 'client' | 'url'>, WithCodec {
  readonly type: 'redis';
  /** Address, such as `redis://127.0.0.1:6379/0`; needs the npm package ioredis or redis. */
  readonly url: string | FromEnvironment;
  /** Each entry is an ordinary string of Redis, without a feed. */
  readonly mode?: 'plain';
  /** In plain mode: takes a server that removes entries when memory is short; default false. */
  readonly allowEviction?: boolean;
}

/** What makes the client of `s3` or `dynamodb`, as data. */
export interface AwsClientDefinition {
  /** The region; default that of the client's own settings. */
  readonly region?: string | FromEnvironment;
  /** Address of the endpoint; default that of the region. */
  readonly endpoint?: string | FromEnvironment;
  /** With `secretAccessKey`: the credentials; default those of the client's own settings. */
  readonly accessKeyId?: string | FromEnvironment;
  /** The secret of `accessKeyId`, from the environment. */
  readonly secretAccessKey?: FromEnvironment;
}

/** `s3` as data. Written out, so that these types need no package. */
export interface S3Definition extends AwsClientDefinition, WithCodec {
  readonly type: 's3';
  /** The bucket's name. */
  readonly bucket: string | FromEnvironment;
  /** Names the store within the bucket; default `strata`. */
  readonly prefix?: string | FromEnvironment;
  /** Makes the bucket where it is missing; default false. */
  readonly create?: boolean;
  /** Whether writes are conditional, so that any number of processes may write; default `all`. */
  readonly conditional?: 'all' | 'none';
  /** What a write survives that the endpoint has acknowledged; default `disk`. */
  readonly durability?: Durability;
  /** Bound of calls that name none, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Whether the bucket stands in the path of addresses; default false. */
  readonly pathStyle?: boolean;
}

/** `dynamodb` as data. Written out, so that these types need no package. */
export interface DynamoDbDefinition extends AwsClientDefinition, WithCodec {
  readonly type: 'dynamodb';
  /** The table's name. */
  readonly table: string | FromEnvironment;
  /** Names the store within the table; default `strata`. */
  readonly prefix?: string | FromEnvironment;
  /** Over so many shards the keys of a new store are spread, 1 to 64; default 1. */
  readonly shards?: number;
  /** Makes the table where it is missing; default false. */
  readonly create?: boolean;
  /** What a write survives that the endpoint has acknowledged; default `disk`. */
  readonly durability?: Durability;
  /** Bound of calls that name none, in ms; default 5,000. */
  readonly timeoutMs?: number;
}

/** `indexeddb` as data; it opens in browsers only. */
export interface IndexedDbDefinition extends Data<IndexedDbOptions>, WithCodec {
  readonly type: 'indexeddb';
}

/** `readonly` as data. */
export interface ReadonlyDefinition extends Over {
  readonly type: 'readonly';
}

/** `encoded` as data. */
export interface EncodedDefinition extends Over {
  readonly type: 'encoded';
  /** How values become the bytes of the store inside. */
  readonly codec: CodecName;
}

/** `prefixed` as data. */
export interface PrefixedDefinition extends Over {
  readonly type: 'prefixed';
  /** What the keys of the store inside begin with. */
  readonly prefix: string | FromEnvironment;
}

/** `observed` as data. */
export interface ObservedDefinition
  extends Over,
    Data<ObservedOptions, 'before' | 'after' | 'onHookError' | 'diagnostics'> {
  readonly type: 'observed';
  /** Whether the end of every operation is published on the diagnostics channel; default true. */
  readonly diagnostics?: boolean;
}

/** `bounded` as data. */
export interface BoundedDefinition extends Over, Data<BoundedOptions> {
  readonly type: 'bounded';
}

/** `watchable` as data. */
export interface WatchableDefinition extends Over, Data<WatchableOptions> {
  readonly type: 'watchable';
}

/** `sealed` and its seal as data. */
export interface SealedDefinition extends Over {
  readonly type: 'sealed';
  /** Name of this store, bound to each value with its key. Never change it. */
  readonly storeId: string | FromEnvironment;
  /** How values are made smaller; default not at all. */
  readonly compress?: 'gzip' | 'zstd';
  /** Keys of AES-256-GCM by id, from the environment: 32 bytes each, in base64 or hexadecimal. */
  readonly keys?: Readonly<Record<string, FromEnvironment>>;
  /** The key to encrypt with; default the only one. */
  readonly keyId?: string | FromEnvironment;
  /** Largest value, in bytes; default 64 MiB. */
  readonly maxBytes?: number;
}

type TieredOwn = 'front' | 'back' | 'journal' | 'onConflict' | 'onEvent' | 'onFrontError';

/** `tiered` as data. */
export interface TieredDefinition extends Data<TieredOptions<unknown>, TieredOwn | 'warmOnOpen'> {
  readonly type: 'tiered';
  /** The fast store: holds copies. */
  readonly front: StoreDefinition | string;
  /** The store that counts. */
  readonly back: StoreDefinition | string;
  /** With `behind`: where acknowledged writes are kept: `front`, `volatile`, or a store. Default `front` where that is durable. */
  readonly journal?: StoreDefinition | string;
  /** With `behind`: what counts when somebody else changed a key in the back; default `overwrite`. */
  readonly onConflict?: 'overwrite' | 'keep-back';
  /** Fills the front from the opening on; default false. */
  readonly warmOnOpen?: boolean | WarmDefinition;
}

/** How a front is warmed, as data. */
export interface WarmDefinition {
  /** Which keys are copied; default `fill-missing`. */
  readonly strategy?: 'fill-missing' | 'mirror';
  /** Only keys that begin so; default all. */
  readonly prefix?: string | FromEnvironment;
  /** Keys of a batch; default 256. */
  readonly batchKeys?: number;
  /** Batches under way at once; default 4. */
  readonly concurrency?: number;
}

/** `replica` as data. */
export interface ReplicaDefinition
  extends Data<ReplicaOptions<unknown>, 'sync' | 'async' | 'onEvent' | 'journal'> {
  readonly type: 'replica';
  /** The stores that a write waits for; at least one. The first gives the order. */
  readonly sync: readonly (StoreDefinition | string)[];
  /** Stores that get every write later, and are not read from. */
  readonly async?: readonly (StoreDefinition | string)[];
  /** Keeps every write until all asynchronous stores have it. */
  readonly journal?: StoreDefinition | string;
}

/** An archive as data: `redis` or `hot`, and `cold`. */
export interface ArchiveDefinition extends Data<ArchiveOptions, 'hot' | 'cold' | 'seal'> {
  /** Address of the Redis whose keys are archived, or of a cluster, `redis+cluster://host:7000,host:7001`; needs the npm package ioredis or redis. */
  readonly redis?: string | FromEnvironment;
  /** The store whose keys are archived. */
  readonly hot?: StoreDefinition | string;
  /** The store of bytes that they go to. */
  readonly cold: StoreDefinition | string;
  /** The keys that may be archived begin with it. Default all. */
  readonly prefix?: string | FromEnvironment;
  /** Keeps archives of one Redis, of one hot store and of one cold store apart. Default `strata-archive`. */
  readonly namespace?: string | FromEnvironment;
  /** With `redis`: a `maxmemory-policy` that is accepted although it could remove keys. */
  readonly allowPolicy?: string;
  /** With `redis`: what the cold store gets of a value. Default `both`. */
  readonly form?: 'both' | 'dump' | 'logical';
  /** With `hot`: how often at most it is noted that a key was used, in ms; default 60,000. */
  readonly noteEveryMs?: number;
  /** How objects are sealed. Default a checksum only. */
  readonly seal?: Omit<SealedDefinition, 'type' | 'store' | 'storeId'>;
  /** Bound of each step of the hot side, in ms; default 5,000. */
  readonly timeoutMs?: number;
}

/** Every type of store that a configuration can describe, by its name. */
export interface Definitions {
  readonly memory: MemoryDefinition;
  readonly lmdb: LmdbDefinition;
  readonly sqlite: SqliteDefinition;
  readonly file: FileDefinition;
  readonly redis: RedisDefinition;
  readonly s3: S3Definition;
  readonly dynamodb: DynamoDbDefinition;
  readonly indexeddb: IndexedDbDefinition;
  readonly readonly: ReadonlyDefinition;
  readonly encoded: EncodedDefinition;
  readonly prefixed: PrefixedDefinition;
  readonly observed: ObservedDefinition;
  readonly bounded: BoundedDefinition;
  readonly watchable: WatchableDefinition;
  readonly sealed: SealedDefinition;
  readonly tiered: TieredDefinition;
  readonly replica: ReplicaDefinition;
}

/** A store as data. */
export type StoreDefinition = Definitions[keyof Definitions];

/** What a name may stand for: data, an address such as `lmdb:./data`, an open store, or a function that gives one of these. */
export type NamedStore = StoreDefinition | string | Store<never> | Store<unknown> | (() => unknown);

/** Stores by name. */
export interface StrataConfig {
  /** For editors: the address of the JSON Schema. */
  readonly $schema?: string;
  readonly stores?: Readonly<Record<string, NamedStore>>;
  /** Archives by name: data, or a function that gives an archive. */
  readonly archives?: Readonly<Record<string, ArchiveDefinition | (() => unknown)>>;
}
