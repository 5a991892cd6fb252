export {
  type MemberRepair,
  type MemberState,
  type MemberStatus,
  type RefusedWrite,
  type RepairCounts,
  type RepairOptions,
  type RepairResult,
  type ReplicaControls,
  type ReplicaEvent,
  type ReplicaOptions,
  type ReplicaPending,
  type ReplicaStatus,
  type ReplicaStore,
  replica,
} from './compositions/replica/index.ts';
export {
  type BackConflict,
  type BreakerOptions,
  type CopyingOptions,
  copyKeys,
  type DeadLetter,
  type Pending,
  type ReadPolicy,
  type TieredControls,
  type TieredEvent,
  type TieredOptions,
  type TieredStatus,
  type TieredStore,
  type TieredStoreWithBlocking,
  tiered,
  type WarmOptions,
  type WarmProgress,
  type WarmStrategy,
  type WritePolicy,
  warm,
  warmReachable,
} from './compositions/tiered/index.ts';
export { type MemoryOptions, memory } from './drivers/memory/index.ts';
export { type BoundedOptions, bounded } from './layers/bounded/index.ts';
export {
  type EncodedOptions,
  encoded,
  type SchemaIssue,
  type SchemaResult,
  type StandardSchema,
} from './layers/encoded/index.ts';
export {
  type EventPublisher,
  type ObservedHooks,
  type ObservedOptions,
  type ObservedStats,
  type OperationEnd,
  type OperationStart,
  type OperationStats,
  observed,
  observedStats,
} from './layers/observed/index.ts';
export { type PrefixedOptions, prefixed } from './layers/prefixed.ts';
export { type ReadonlyOptions, readonly } from './layers/readonly.ts';
export {
  type Compression,
  type GzipModule,
  gzip,
  type Seal,
  type SealContext,
  type SealedOptions,
  type SealInfo,
  type SealOptions,
  seal,
  sealed,
  sealInfo,
  type ZstdModule,
  zstd,
} from './layers/sealed/index.ts';
export { type WatchableOptions, watchable } from './layers/watchable/index.ts';
export type * from './store/index.ts';
export {
  defineStore,
  describeStore,
  isStrataError,
  json,
  messagePack,
  raw,
  StrataError,
  systemEnv,
  text,
} from './store/index.ts';
export type { ReadonlyStore, ReadonlyStoreWithBlocking } from './store/readonly-store.ts';
