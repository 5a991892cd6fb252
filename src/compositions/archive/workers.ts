import type { ColdObjects } from './cold-objects.ts';
import { Evictor } from './evictor.ts';
import { FreezeFlow } from './freeze-flow.ts';
import { type FreezeEvent, Freezer, type FreezerOptions } from './freezer.ts';
import type { Named } from './hot-key.ts';
import type { HotSide } from './hot-side.ts';
import { KnownObjects } from './known-objects.ts';
import { type ArchiveWorker, checkWorkerOptions, Worker, type WorkerOptions } from './worker.ts';
import type { ArchiveEvent } from './worker-events.ts';

/** What became of the marks that were taken. */
export interface DrainResult {
  /** Keys whose value is in the cold store now. */
  readonly frozen: number;
  /** Keys that were gone from Redis, and now are in the cold store too. */
  readonly deleted: number;
  /** Keys that could not be frozen; they stay marked and are tried again. */
  readonly failed: readonly { readonly key: string; readonly error: unknown }[];
}

/** What was done by one archive since it was made, its workers included. */
export interface Done {
  /** Keys that it froze. */
  readonly frozen: number;
  /** Times that it could not. */
  readonly failures: number;
  /** Of the values that it froze, before sealing, in all forms that are kept. */
  readonly bytes: number;
}

/** How all workers of an archive work, where their own options do not say otherwise. */
export interface WorkersOptions extends FreezerOptions {
  readonly concurrency: number;
  readonly evictAfterMs: number | undefined;
}

const IDLE_MS = 1_000;
const EVICT_MS = { least: 1_000, most: 60_000 } as const;
/** Times that marks are taken which must be worked off now. */
const ROUNDS = 3;

/** Everything of an archive that works off marks. */
export class Workers {
  readonly evictor: Evictor;
  readonly #hot: HotSide;
  readonly #cold: ColdObjects;
  readonly #options: WorkersOptions;
  readonly #made = new Set<Worker>();
  readonly #known = new KnownObjects();
  #done: Done = { frozen: 0, failures: 0, bytes: 0 };

  constructor(hot: HotSide, cold: ColdObjects, options: WorkersOptions) {
    this.#hot = hot;
    this.#cold = cold;
    this.#options = options;
    this.evictor = new Evictor(hot, cold, options);
  }

  get done(): Done {
    return this.#done;
  }

  /** Takes what is due until nothing is, or the cold store is found to be away. */
  async drain(operation: string): Promise<DrainResult> {
    const result = { frozen: 0, deleted: 0, failed: [] as { key: string; error: unknown }[] };
    const freezer = this.#freezer(this.#options, (event) => {
      if (event.type === 'frozen' || event.type === 'deleted') result[event.type]++;
      if (event.type === 'failed') result.failed.push({ key: event.key, error: event.cause });
    });
    await new FreezeFlow(freezer, this.#options.concurrency).drain(operation);
    return result;
  }

  /** Works off the marks of some keys now, and throws what the first of them failed with. */
  async workOff(operation: string, keys: readonly Named[]): Promise<void> {
    const { concurrency } = this.#options;
    const causes: unknown[] = [];
    const freezer = this.#freezer(this.#options, (event) => {
      if (event.type === 'failed') causes.push(event.cause);
    });
    for (let at = 0; at < keys.length; at += concurrency) {
      const chunk = keys.slice(at, at + concurrency);
      // Once, and once more where the hot side had gone back behind what the cold store has.
      for (let round = 0; round < ROUNDS && causes.length === 0; round++) {
        const takenMs = freezer.nowMs;
        const taken = await freezer.take(operation, chunk.length, chunk);
        if (taken.length === 0) break;
        await Promise.all(taken.map((work) => freezer.workOff(operation, work, takenMs)));
      }
    }
    if (causes.length > 0) throw causes[0];
  }

  worker(own: WorkerOptions): ArchiveWorker {
    checkWorkerOptions(own);
    const options = { ...this.#options, ...defined(own) };
    const { evictAfterMs, concurrency } = options;
    const evictor =
      evictAfterMs === undefined ? undefined : new Evictor(this.#hot, this.#cold, options);
    const { idleMs = IDLE_MS, evictEveryMs = evictPause(evictAfterMs ?? 0), monitor } = own;
    const retry = { ...this.#options.retry, ...own.retry };
    const worker = new Worker({
      hot: this.#hot,
      makeFreezer: (tell, onPauseOver) => this.#freezer({ ...options, retry }, tell, onPauseOver),
      ...{ evictor, concurrency, idleMs, evictEveryMs },
      tell: (event) => told(monitor, event),
    });
    this.#made.add(worker);
    if (own.autoStart !== false) worker.start();
    return worker;
  }

  /** Stops every worker. */
  async stop(): Promise<void> {
    await Promise.all([...this.#made].map((worker) => worker.stop()));
  }

  #freezer(
    options: FreezerOptions,
    tell: (event: FreezeEvent) => void,
    onPauseOver?: () => void,
  ): Freezer {
    const counted = (event: FreezeEvent): void => {
      this.#count(event);
      tell(event);
    };
    return new Freezer(this.#hot, this.#cold, this.#known, options, counted, onPauseOver);
  }

  #count(event: FreezeEvent): void {
    const { frozen, failures, bytes } = this.#done;
    if (event.type === 'frozen')
      this.#done = { failures, frozen: frozen + 1, bytes: bytes + event.bytes };
    else if (event.type === 'failed') this.#done = { frozen, bytes, failures: failures + 1 };
  }
}

function evictPause(evictAfterMs: number): number {
  return Math.min(EVICT_MS.most, Math.max(EVICT_MS.least, evictAfterMs / 10));
}

/** An option that is there and undefined is left out. */
function defined({ concurrency, leaseMs, throttleMs }: WorkerOptions): Partial<WorkersOptions> {
  return {
    ...(concurrency !== undefined && { concurrency }),
    ...(leaseMs !== undefined && { leaseMs }),
    ...(throttleMs !== undefined && { throttleMs }),
  };
}

function told(monitor: WorkerOptions['monitor'], event: ArchiveEvent): void {
  try {
    monitor?.(event);
  } catch {
    return;
  }
}
