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

/** The store's values by key. */
export interface Served {
  readonly shape: ServedShape;
  readonly stats: ServedStats;
  readonly subscribers: readonly SubscriberStats[];
}

export type ServedValue = Served[keyof Served];
