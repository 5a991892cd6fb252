/** What is said to and by the process of `loaded-server.ts`. */
import type { PublicationStatus } from '../../src/sync/index.ts';

/** The key whose values begin with the time of their write, by the clock that processes share. */
export const TIMED_KEY = 'timed';

export interface Load {
  /** So many other keys are written, of so many bytes each … */
  readonly keys: number;
  readonly bytes: number;
  /** … so often, with a timed one each time and a pause between. */
  readonly rounds: number;
  readonly pauseMs: number;
}

export interface Measured {
  readonly port: number;
  /** What is alive after a collection. */
  readonly liveBytes: number;
  /** The most that was alive or about to be collected since the last answer. */
  readonly peakBytes: number;
  /** The most work between two turns of the event loop since then. */
  readonly longestTurnMs: number;
  /** The most subscribers seen reading for themselves at once since then. */
  readonly mostReading: number;
  readonly status: PublicationStatus;
}
