import type { EndReason } from './end-reason.ts';

/**
 * What a connection is at: `greeting` has not asked for a store, `waiting` waits for its turn to read,
 * `comparing` finds out what differs, `reading` is sent a snapshot or what it missed, `live` has
 * joined the stream of changes that all share, `blocked` takes in too slowly what waits for it.
 */
export type ConnectionState = 'greeting' | 'waiting' | 'comparing' | 'reading' | 'live' | 'blocked';

/** How far somebody is behind. */
export interface Lag {
  /** Commits of the source. */
  readonly revs: number;
  /** How long ago the first of them was seen, at most; to the length of a heartbeat when nobody reads. */
  readonly ageMs: number;
}

/** A publication as a whole, whatever the number of its subscribers. */
export interface PublicationStatus {
  /** `draining` while those connected catch up before the end. */
  readonly state: 'open' | 'draining' | 'closed';
  readonly headRev: number;
  readonly connections: Readonly<Record<ConnectionState, number>>;
  /** Of the subscriber that is furthest behind. */
  readonly lag: Lag;
  readonly sentBytes: number;
  /** Bytes that wait in this process for connections to take them. */
  readonly bufferedBytes: number;
  /** Bytes of frames kept for those a little behind. */
  readonly historyBytes: number;
  /** Subscribers that have ever come in. */
  readonly accepted: number;
  /** Ended connections, by reason. */
  readonly endings: Readonly<Partial<Record<EndReason, number>>>;
}

/** A hub as a whole: sums over its stores, with the connections that belong to none yet. */
export interface HubStatus extends Omit<PublicationStatus, 'headRev'> {
  /** By id. */
  readonly stores: ReadonlyMap<string, PublicationStatus>;
}

export type Endings = Partial<Record<EndReason, number>>;

/** Adds up what several publications tell; `greeting` and `endings` are those of none. */
export function sumOf(
  state: PublicationStatus['state'],
  stores: ReadonlyMap<string, PublicationStatus>,
  greeting: number,
  endings: Readonly<Endings>,
): HubStatus {
  const connections = { ...NO_CONNECTIONS, greeting };
  const all: Endings = { ...endings };
  const sums = { sentBytes: 0, bufferedBytes: 0, historyBytes: 0, accepted: 0 };
  const lag = { revs: 0, ageMs: 0 };
  for (const store of stores.values()) {
    add(connections, store.connections);
    add(all, store.endings);
    const { sentBytes, bufferedBytes, historyBytes, accepted } = store;
    add(sums, { sentBytes, bufferedBytes, historyBytes, accepted });
    widen(lag, store.lag);
  }
  return { state, connections, lag, ...sums, endings: all, stores };
}

/** Nobody at all. */
export const NO_CONNECTIONS: Readonly<Record<ConnectionState, number>> = {
  greeting: 0,
  waiting: 0,
  comparing: 0,
  reading: 0,
  live: 0,
  blocked: 0,
};

/** The larger of both, each figure by itself. */
export function widen(lag: { revs: number; ageMs: number }, other: Lag): void {
  lag.revs = Math.max(lag.revs, other.revs);
  lag.ageMs = Math.max(lag.ageMs, other.ageMs);
}

function add(into: Record<string, number>, from: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(from)) into[name] = (into[name] ?? 0) + count;
}
