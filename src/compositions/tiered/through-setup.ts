import type { Env, Timer } from '../../store/env.ts';
import type { BackLink } from './back-link.ts';
import type { Freshness } from './freshness.ts';
import type { FrontCopies } from './front-copies.ts';
import type { BackBounds } from './parts.ts';
import type { SourceName } from './source.ts';

/** How `Through` is to behave; shared by its asynchronous and its blocking half. */
export interface ThroughSetup<V> {
  readonly env: Env;
  readonly copies: FrontCopies<V>;
  /** The way to the back. */
  readonly link: BackLink<V>;
  /** Absent where copies are fresh until they are replaced. */
  readonly freshness: Freshness | undefined;
  /** A miss waits until its copy stands in the front. */
  readonly awaitsCopies: boolean;
  /** Names the back in the copies. */
  readonly source: SourceName<V>;
  /** A miss of the front is a miss. */
  readonly frontOnly: boolean;
  /** Writes leave no copy behind. */
  readonly around: boolean;
  /** Copies outlive this process: one that is about to become old is removed first. */
  readonly lasting: boolean;
  readonly frontTakesExpiry: boolean;
  /** A written value as the back will give it, sharing nothing with the caller's; absent where it is that already. */
  readonly own: ((value: V) => V) | undefined;
  readonly backIsAtomic: boolean;
  readonly backBounds: BackBounds;
  /** Timers of writes that may still land. */
  readonly holds: Set<Timer>;
  /** Reads keys again in the background whose copies are served meanwhile. */
  refresh(keys: readonly string[]): void;
}
