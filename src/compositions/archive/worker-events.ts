import type { StrataError } from '../../store/errors.ts';

/** What a worker of an archive tells its `monitor`. */
export type ArchiveEvent =
  | { readonly type: 'started' }
  /** Nothing is under way any more. */
  | { readonly type: 'stopped' }
  /** The cold store has what the hot side had of the key; `bytes` of its value, before sealing, in all forms that are kept. */
  | {
      readonly type: 'frozen';
      readonly key: string;
      readonly bytes: number;
      readonly tookMs: number;
    }
  /** A key that is gone from the hot side is gone for good. */
  | { readonly type: 'deleted'; readonly key: string }
  /** A key could not be frozen; it stays marked, and is tried again. `tries` counts this one. */
  | {
      readonly type: 'failed';
      readonly key: string;
      readonly tries: number;
      readonly retryInMs: number;
      readonly cause: unknown;
    }
  /** A pass over the idle keys. `dirty`: idle ones that had changed without a mark, and are marked now. */
  | {
      readonly type: 'evicted';
      readonly keys: number;
      readonly dirty: number;
      readonly tookMs: number;
    }
  /** A pass over the idle keys ended early; the next one goes on. */
  | { readonly type: 'evict-failed'; readonly cause: unknown }
  /** The cold store failed again and again: it is tried with one key at a time, and nothing is evicted. */
  | { readonly type: 'cold-away'; readonly cause: StrataError }
  | { readonly type: 'cold-returned'; readonly awayMs: number }
  /** The hot side does not answer. */
  | { readonly type: 'hot-away'; readonly cause: unknown }
  | { readonly type: 'hot-returned'; readonly awayMs: number };

/** What a worker did since it was made, and how it stands. */
export interface WorkerStats {
  readonly state: 'running' | 'stopping' | 'stopped';
  /** Keys that are being frozen, or taken to be. */
  readonly underWay: number;
  readonly frozen: number;
  readonly deleted: number;
  readonly evicted: number;
  /** Tries that failed. */
  readonly failures: number;
  /** Of the values that were frozen, before sealing, in all forms that are kept. */
  readonly bytes: number;
  /** For how long the cold store has failed, in ms; absent while it answers. */
  readonly coldAwayMs?: number;
}
