import type { StrataError, StrataErrorCode } from '../../store/errors.ts';
import type { WarmProgress } from './warming/options.ts';

/** What a tiered store tells about itself through `onEvent`. Calls learn of failures by their own errors. */
export type TieredEvent =
  /** The back is not asked for a while: its last calls failed. */
  | { readonly type: 'back-away'; readonly cause: StrataError }
  /** The back answers again. */
  | { readonly type: 'back-returned'; readonly awayMs: number }
  /** The front follows the back's feed, from its head. */
  | { readonly type: 'following' }
  /** The feed could not be continued: copies were removed where they could not be trusted. */
  | { readonly type: 'feed-lost'; readonly cause: StrataError }
  /** What `warmOnOpen` asked for is in the front. */
  | { readonly type: 'warmed'; readonly progress: WarmProgress }
  /** It is not; reads go on as without it. The details of the cause say how far it came. */
  | { readonly type: 'warm-failed'; readonly cause: StrataError }
  /** Writes that had been acknowledged were found in the journal when it was opened. */
  | { readonly type: 'recovered'; readonly keys: number; readonly bytes: number }
  /** A window of pending writes is in the back. */
  | { readonly type: 'flushed'; readonly keys: number; readonly tookMs: number }
  /** A window failed and will be tried again. */
  | {
      readonly type: 'flush-failed';
      readonly tries: number;
      readonly retryInMs: number;
      readonly cause: StrataError;
    }
  /** The back refuses this write for good. It is kept among the dead letters of the journal. */
  | { readonly type: 'dead-letter'; readonly key: string; readonly cause: StrataError }
  /** Somebody else changed the key in the back since this write was made. */
  | {
      readonly type: 'back-conflict';
      readonly key: string;
      readonly kept: 'pending' | 'back' | 'merged';
    }
  /** The back has lost writes that it had taken: it was restored, or failed over. */
  | { readonly type: 'back-rewound' }
  /** A record of the journal is damaged: it is set aside, the others are replayed. */
  | { readonly type: 'journal-damaged'; readonly record: string; readonly cause: StrataError }
  /** A journal that another process has taken over, or that fails: no further write is taken. */
  | { readonly type: 'journal-lost'; readonly cause: StrataError };

/** Writes that are acknowledged and not yet in the back. */
export interface Pending {
  readonly keys: number;
  /** What the journal holds of them, in bytes. */
  readonly bytes: number;
  /** Age of the oldest, in ms; absent where there are none. */
  readonly oldestMs?: number;
  /** Writes that the back refuses for good. */
  readonly deadLetters: number;
}

export const NO_PENDING: Pending = Object.freeze({ keys: 0, bytes: 0, deadLetters: 0 });

/** A write that was acknowledged and that the back refuses for good. */
export interface DeadLetter<V> {
  /** Names it in `forgetDeadLetters`. */
  readonly id: string;
  readonly type: 'set' | 'delete';
  readonly key: string;
  /** What was to be set. */
  readonly value?: V;
  readonly cause: { readonly code: StrataErrorCode; readonly message: string };
  /** When it was refused, in ms since 1970. */
  readonly at: number;
}

/** How a tiered store stands. */
export interface TieredStatus {
  readonly back: {
    readonly state: 'up' | 'away';
    readonly awayMs?: number;
    readonly lastError?: StrataError;
  };
  /** Present with `follow`. `lagMs`: how old what the front shows may be; 0 while the feed has nothing new. */
  readonly follow?: { readonly state: 'starting' | 'following' | 'lost'; readonly lagMs: number };
  /** Keys that are not served from the front because their copies could not be updated. */
  readonly fenced: number;
  readonly pending: Pending;
}
