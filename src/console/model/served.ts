import type { Capabilities } from '../../store/capabilities.ts';
import type { Shape } from '../../store/primitives.ts';
import type { PublicationStats, SubscriberStats } from '../../sync/index.ts';

/** What a server tells of itself in its second store. */

/** Key `shape`: what is served. */
export interface ServedShape {
  readonly name: string;
  readonly shape: Shape;
  readonly capabilities: Capabilities;
  readonly writable: boolean;
  readonly version: string;
  /** Ms since 1970. */
  readonly startedAt: number;
}

/** Key `stats`: counters since the server's start. */
export interface ServedStats
  extends Omit<PublicationStats, 'subscribers' | 'endings' | 'historyBytes'> {
  /** When they were taken, in ms since 1970. */
  readonly at: number;
  /** How many there are. */
  readonly subscribers: number;
  /** Memory of the server's process. */
  readonly rssBytes: number;
}

/** Why something failed. */
export interface ServedCause {
  readonly code: string;
  readonly message: string;
}

/** A key that could not be frozen, its times relative to when the figures were taken. */
export interface ServedFailure {
  readonly key: string;
  readonly cause: ServedCause;
  /** Times that it failed in a row. */
  readonly tries: number;
  /** How long it has been marked, and how long until it is tried again. */
  readonly markedMs: number;
  readonly nextTryMs: number;
}

/** Key `archive`: how an archive stands, where the server was given one. */
export interface ServedArchive {
  readonly name: string;
  /** When the figures were taken, in ms since 1970. */
  readonly at: number;
  /** Of all processes together; absent while the hot side does not answer. */
  readonly hot?: {
    readonly dirty: number;
    readonly failing: number;
    readonly oldestMarkMs: number;
    readonly evicted: number;
  };
  readonly hotAway?: ServedCause & { readonly awayMs: number };
  /** The failing keys that are tried next. */
  readonly failed: readonly ServedFailure[];
  /** What the server itself did since its start; absent where it only looks. */
  readonly work?: {
    readonly frozen: number;
    readonly evicted: number;
    /** Tries that failed. */
    readonly failures: number;
    readonly bytes: number;
    /** How long the cold store has failed; absent while it answers. */
    readonly coldAwayMs?: number;
  };
}

/** The store's values by key. */
export interface Served {
  readonly shape: ServedShape;
  readonly stats: ServedStats;
  readonly subscribers: readonly SubscriberStats[];
  readonly archive: ServedArchive;
}

export type ServedValue = Served[keyof Served];
