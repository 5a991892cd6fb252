import { memory } from '../../drivers/memory/index.ts';
import type { Capabilities } from '../../store/capabilities.ts';
import { json } from '../../store/codec.ts';
import { isStrataError } from '../../store/errors.ts';
import { describeStore } from '../../store/internals.ts';
import type { Shape } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import type { ConnectionState } from '../../sync/index.ts';
import type { Publication } from '../../sync/publish.ts';
import type { ServedArchive } from './archive-figures.ts';

/** How often the figures are made anew. */
const EVERY_MS = 1_000;

/** Key `shape`: what is served. */
export interface ServedShape {
  readonly name: string;
  readonly shape: Shape;
  readonly capabilities: Capabilities;
  readonly writable: boolean;
  readonly version: string;
  readonly startedAt: number;
}

/** Key `stats`: counters since the start; whoever shows them takes differences. */
export interface ServedStats {
  /** When the figures were taken, in ms since 1970. */
  readonly at: number;
  readonly headRev: number;
  readonly appliedWrites: number;
  readonly sentOperations: number;
  readonly sentBytes: number;
  readonly historyBytes: number;
  readonly subscribers: number;
  readonly accepted: number;
  readonly endings: Readonly<Record<string, number>>;
  /** Memory of the server's process. */
  readonly rssBytes: number;
}

/** Key `subscribers`: everybody who holds a copy now. */
export interface ServedSubscriber {
  readonly id: string;
  readonly state: ConnectionState;
  readonly rev: number;
  /** Commits of the store that this copy is behind, and for how long. */
  readonly lag: number;
  readonly lagMs: number;
  readonly bufferedBytes: number;
  readonly sentBytes: number;
  readonly sentOperations: number;
  readonly connectedMs: number;
  readonly mayWrite: boolean;
  readonly trouble?: string;
}

export type StatsValue = ServedShape | ServedStats | readonly ServedSubscriber[] | ServedArchive;

/** A store of figures about a publication, itself replicated to whoever watches the server. */
export interface StatsStore {
  readonly store: Store<StatsValue>;
  close(): Promise<void>;
}

/** Makes the figures' store and keeps it up to date. */
export async function startStats(
  publication: Publication,
  served: Store<unknown>,
  about: Omit<ServedShape, 'shape' | 'capabilities' | 'startedAt'>,
): Promise<StatsStore> {
  const store = memory<StatsValue>({ codec: json<StatsValue>(), zeroCopy: true });
  await store.set('shape', {
    ...about,
    shape: describeStore(served),
    capabilities: served.capabilities,
    startedAt: Date.now(),
  });
  const update = (): Promise<unknown> => store.setMany(figures(publication));
  await update();
  const timer = setInterval(() => {
    update().catch((error: unknown) => {
      // The last round of a store that is being closed.
      if (!isStrataError(error, 'closed')) throw error;
    });
  }, EVERY_MS);
  return {
    store,
    close: async () => {
      clearInterval(timer);
      await store.close();
    },
  };
}

function figures(publication: Publication): [string, StatsValue][] {
  const {
    subscribers,
    headRev,
    appliedWrites,
    sentOperations,
    sentBytes,
    historyBytes,
    accepted,
    endings,
  } = publication.stats();
  const stats: ServedStats = {
    at: Date.now(),
    headRev,
    appliedWrites,
    sentOperations,
    sentBytes,
    historyBytes,
    subscribers: subscribers.length,
    accepted,
    endings,
    rssBytes: process.memoryUsage.rss(),
  };
  return [
    ['stats', stats],
    ['subscribers', subscribers],
  ];
}
