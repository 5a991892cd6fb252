import type { Env, Timer } from '../../store/env.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { Evictor } from './evictor.ts';
import { FreezeFlow } from './freeze-flow.ts';
import type { FreezeEvent, Freezer, RetryDelays } from './freezer.ts';
import type { HotSide } from './hot-side.ts';
import type { ArchiveEvent, WorkerStats } from './worker-events.ts';

/** Options of `archive.worker`; what is left out is as the archive's own. */
export interface WorkerOptions {
  /** Keys that are frozen at once, and as many evicted; as many again are taken in advance. */
  readonly concurrency?: number;
  /** Time after which a mark that was taken is taken by another worker, in ms. */
  readonly leaseMs?: number;
  readonly retry?: RetryDelays;
  /** Least time between two freezes of a key that is marked again while it is frozen, in ms. */
  readonly throttleMs?: number;
  /** Time until it looks again when nothing was due, in ms; default 1,000. */
  readonly idleMs?: number;
  /**
   * Time between two passes over the idle keys, in ms, of all workers together; default a tenth of
   * `evictAfterMs`, 1 s at least and 60 s at most. Without `evictAfterMs` there are none.
   */
  readonly evictEveryMs?: number;
  /** Hears what happens, as it does. What it throws is ignored. */
  readonly monitor?: (event: ArchiveEvent) => void;
  /** Whether it begins at once; default true. */
  readonly autoStart?: boolean;
}

/** Freezes and evicts in the background. See `archive.worker`. */
export interface ArchiveWorker {
  /** Begins, or begins again; nothing where it runs. */
  start(): void;
  /** Takes no more, and resolves when what is under way is done. */
  stop(): Promise<void>;
  /** Works off what is due, whether it runs or not; resolves when nothing is, or the cold store is away. */
  drain(): Promise<void>;
  stats(): WorkerStats;
}

/** What a worker is made of. */
export interface WorkerSetup {
  readonly hot: HotSide;
  makeFreezer(tell: (event: FreezeEvent) => void, onPauseOver: () => void): Freezer;
  /** Absent where nothing is evicted. */
  readonly evictor: Evictor | undefined;
  readonly concurrency: number;
  readonly idleMs: number;
  readonly evictEveryMs: number;
  tell(event: ArchiveEvent): void;
}

const RULES: OptionRules = {
  concurrency: is.positive,
  leaseMs: is.durationMs,
  retry: {
    expected: '{ firstMs, mostMs }, numbers of ms above 0',
    accepts: (v) => {
      if (!is.object.accepts(v)) return false;
      const { firstMs = 1, mostMs = 1, ...rest } = v as RetryDelays;
      return (
        [firstMs, mostMs].every((ms) => is.durationMs.accepts(ms)) && Object.keys(rest).length === 0
      );
    },
  },
  throttleMs: is.count,
  idleMs: is.durationMs,
  evictEveryMs: is.durationMs,
  monitor: is.fn,
  autoStart: is.boolean,
};

export function checkWorkerOptions(options: WorkerOptions): void {
  checkOptions('worker', options, RULES);
}

/** From a start to the stop after it. */
interface Run {
  over: boolean;
}

/** Longest time between two tries of a hot side that is away. */
const LONGEST_PAUSE_MS = 10_000;

const OPERATION = 'worker';

/** Takes marks for ever, and passes over the idle keys now and then. */
export class Worker implements ArchiveWorker {
  readonly #setup: WorkerSetup;
  readonly #env: Env;
  readonly #freezer: Freezer;
  readonly #flow: FreezeFlow;
  readonly #pauses = new Set<() => void>();
  readonly #counts = { frozen: 0, deleted: 0, evicted: 0, failures: 0, bytes: 0 };
  #run: Run | undefined;
  /** Ends when every run that was begun has ended. */
  #ended: Promise<void> = Promise.resolve();

  constructor(setup: WorkerSetup) {
    this.#setup = setup;
    this.#env = setup.hot.env;
    this.#freezer = setup.makeFreezer(
      (event) => this.#frozen(event),
      () => this.#wake(),
    );
    this.#flow = new FreezeFlow(this.#freezer, setup.concurrency);
  }

  start(): void {
    if (this.#run !== undefined && !this.#run.over) return;
    const run = { over: false };
    this.#run = run;
    this.#ended = this.#ended.then(() => this.#go(run));
  }

  async stop(): Promise<void> {
    if (this.#run !== undefined) this.#run.over = true;
    this.#wake();
    await this.#ended;
    await this.#flow.untilIdle();
  }

  async drain(): Promise<void> {
    await this.#flow.drain('drain');
  }

  stats(): WorkerStats {
    const { coldAwayMs } = this.#freezer;
    const stopping = this.#run?.over === true ? 'stopping' : 'running';
    return {
      state: this.#run === undefined ? 'stopped' : stopping,
      underWay: this.#flow.underWay,
      ...this.#counts,
      ...(coldAwayMs !== undefined && { coldAwayMs }),
    };
  }

  async #go(run: Run): Promise<void> {
    const { tell } = this.#setup;
    tell({ type: 'started' });
    await Promise.all([this.#freezing(run), this.#evicting(run)]);
    tell({ type: 'stopped' });
    if (this.#run === run) this.#run = undefined;
  }

  #frozen(event: FreezeEvent): void {
    if (event.type === 'frozen') {
      this.#counts.frozen++;
      this.#counts.bytes += event.bytes;
    } else if (event.type === 'deleted') this.#counts.deleted++;
    else if (event.type === 'failed') this.#counts.failures++;
    this.#setup.tell(event);
  }

  async #freezing(run: Run): Promise<void> {
    const { idleMs, tell } = this.#setup;
    let awayMs: number | undefined;
    let pauseMs = idleMs;
    while (!run.over) {
      try {
        const taken = await this.#flow.fill(OPERATION, () => !run.over);
        if (awayMs !== undefined)
          tell({ type: 'hot-returned', awayMs: this.#env.monotonicMs() - awayMs });
        awayMs = undefined;
        pauseMs = idleMs;
        if (taken === 0 && !run.over) await this.#pause(idleMs);
      } catch (cause) {
        if (awayMs === undefined) tell({ type: 'hot-away', cause });
        awayMs ??= this.#env.monotonicMs();
        if (!run.over) await this.#pause(pauseMs * (0.5 + this.#env.random() / 2));
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      }
    }
    await this.#flow.untilIdle();
  }

  async #evicting(run: Run): Promise<void> {
    const { evictor, evictEveryMs } = this.#setup;
    if (evictor === undefined) return;
    while (!run.over) {
      await this.#evict(evictor, run);
      if (!run.over) await this.#pause(evictEveryMs);
    }
  }

  async #evict(evictor: Evictor, run: Run): Promise<void> {
    const { hot, evictEveryMs, tell } = this.#setup;
    const startMs = this.#env.monotonicMs();
    const goesOn = (): boolean => !run.over && this.#freezer.coldAwayMs === undefined;
    try {
      if (!goesOn() || !(await hot.turn(OPERATION, 'evict', evictEveryMs))) return;
      const { evicted, kept } = await evictor.evictIdle(OPERATION, goesOn);
      this.#counts.evicted += evicted;
      const tookMs = this.#env.monotonicMs() - startMs;
      tell({ type: 'evicted', keys: evicted, dirty: kept.length, tookMs });
    } catch (cause) {
      tell({ type: 'evict-failed', cause });
    }
  }

  /** Waits, until it is woken at the latest. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const end = (): void => {
        timer?.cancel();
        this.#pauses.delete(end);
        resolve();
      };
      this.#pauses.add(end);
      timer = this.#env.setTimer(end, ms);
    });
  }

  #wake(): void {
    for (const end of [...this.#pauses]) end();
  }
}
