import type { Codec } from '../store/codec.ts';
import type { Env } from '../store/env.ts';
import type { Store } from '../store/store.ts';
import type { BackoffOptions } from './backoff.ts';
import type { ChangeListener, ChangeMatch } from './change-listeners.ts';

/** Bounds of a subscription; each has a default. */
export interface SubscribeLimits {
  /** Most bytes that the server may have on their way here; default 2 MiB. */
  readonly creditBytes?: number;
  /** Largest group taken in, in bytes of its frames; default 512 MiB. */
  readonly groupBytes?: number;
  /**
   * A group larger than this is not held in memory until whole: its parts wait in the local store,
   * and become visible together in one transaction. In bytes of its frames; default 4 MiB. Where a
   * commit is in memory anyway (all stores but `indexeddb`), groups are held whatever their size.
   */
  readonly stageBytes?: number;
  /** The same, in keys; default 10,000. */
  readonly stageKeys?: number;
  /** How long the local store may take for a commit, before that counts as failed; default 60,000, and 1 more for each write. */
  readonly applyTimeoutMs?: number;
  /** How long the server may take to answer a new connection; default 10,000. */
  readonly connectTimeoutMs?: number;
}

/** How a local store is filled. */
export interface SubscribeOptions<V> {
  /** Shown to the server's `authorize`: a text, or a function asked at every connection. */
  readonly token?: string | (() => string | Promise<string>);
  /** Which store, where the server has several. */
  readonly storeId?: string;
  /** Copies only keys that begin so. */
  readonly prefix?: string;
  /** How values become bytes; default the local store's own, else the values are bytes. */
  readonly codec?: Codec<V>;
  /** Hears of every change, after it is durable in the local store. */
  readonly onChange?: ChangeListener<V>;
  /** The local copy has caught up for the first time. */
  readonly onReady?: () => void;
  /** Hears of everything that fails: the connection, the local store, a listener. The subscription goes on unless its `status` says otherwise. */
  readonly onError?: (error: Error) => void;
  /** False ends the subscription with its first connection; default true, for a connector. */
  readonly reconnect?: boolean | BackoffOptions;
  /** Bound of `remote` operations that name none, and of the first answer of the server for `ready`; default 5,000. */
  readonly timeoutMs?: number;
  readonly limits?: SubscribeLimits;
  /** Clock, timers and randomness; default the local store's. */
  readonly env?: Env;
}

/** How a subscription fares. */
export interface SubscriptionStatus {
  /** `live`: everything the server has told of is durable here; `stalled`: the local store fails. */
  readonly state: 'connecting' | 'syncing' | 'live' | 'stalled' | 'closed';
  readonly connected: boolean;
  /** The source's own id, once known. */
  readonly sourceId?: string;
  /** Newest revision that is durable here. */
  readonly rev: number;
  /** Newest revision known to exist at the source. */
  readonly headRev: number;
  /** Commits between the two. */
  readonly lag: number;
  readonly mayWrite: boolean;
  /** Connections made so far. */
  readonly connections: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Snapshots, comparisons and resumes, as the server decided. */
  readonly snapshots: number;
  readonly reconciles: number;
  readonly resumes: number;
  readonly lastError?: Error;
}

/** A local store that is kept a live copy of a remote one. */
export interface Subscription<V> extends AsyncDisposable {
  /**
   * Resolves when the local copy has everything that was there when the subscription began.
   * Rejects when that is impossible (`denied`, `conflict`, `invalid-argument` …), with `closed`, or
   * with `unavailable` when no server answers within `timeoutMs`; the subscription then tries on.
   */
  readonly ready: Promise<void>;
  /** The source, to write to: its writes resolve when the local copy has them. Its reads come from the copy. */
  readonly remote: Store<V>;
  status(): SubscriptionStatus;
  /** Calls `fn` for every change of a key, or of all keys that begin with a text; gives the removal. */
  onChange(match: ChangeMatch, fn: ChangeListener<V>): () => void;
  /** Ends the connection. The local store stays open, and a later subscription resumes where this one stopped. */
  close(): Promise<void>;
}
