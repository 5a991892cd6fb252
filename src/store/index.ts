/** The contract: what users hold and what authors of drivers, layers and compositions build on. */

export type { Awaitable } from './awaitable.ts';
export type { BlockingStore } from './blocking-store.ts';
export { Call } from './call.ts';
export type { Capabilities, Durability } from './capabilities.ts';
export { type Codec, json, type MessagePackModule, messagePack, raw, text } from './codec.ts';
export { defineStore } from './define-store.ts';
export type {
  Change,
  Commit,
  Condition,
  Cursor,
  DeleteChange,
  Entry,
  EntryHead,
  Json,
  Meta,
  Origin,
  SetChange,
} from './entry.ts';
export type { Env, Timer } from './env.ts';
export {
  isStrataError,
  StrataError,
  type StrataErrorCode,
  type StrataErrorInit,
} from './errors.ts';
export { describeStore, PRIMITIVES, primitivesOf } from './internals.ts';
export { type Bound, compareKeys, type KeyRange } from './keys.ts';
export type {
  BatchResult,
  BatchWrite,
  CallOptions,
  DeleteOptions,
  Range,
  ReadOptions,
  SetOptions,
  WatchOptions,
  WriteResult,
} from './operations.ts';
export type {
  BlockingPrimitives,
  CommitOutcome,
  DeleteWrite,
  Feed,
  FeedPage,
  FeedState,
  Position,
  Primitives,
  SetWrite,
  Shape,
  Write,
  WriteOutcome,
} from './primitives.ts';
export type { Store, StoreWithBlocking } from './store.ts';
export { systemEnv } from './system-env.ts';
