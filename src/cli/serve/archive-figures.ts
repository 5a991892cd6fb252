import { setTimeout as sleep } from 'node:timers/promises';
import type { Archive, ArchiveWorker, FailCause } from '../../compositions/archive/index.ts';
import { isStrataError } from '../../store/errors.ts';
import type { Store } from '../../store/store.ts';

/** Least time between two looks at the archive. */
const EVERY_MS = 1_000;
/** Looks that take long, as those at a cluster, are made so much more seldom than they take. */
const REST = 9;
const LONGEST_PAUSE_MS = 30_000;
/** Failing keys that are told. */
const MOST_FAILED = 20;
/** What is told of an error. */
const MESSAGE_LETTERS = 300;

/** A key that could not be frozen, its times relative to when the figures were taken. */
export interface ServedFailure {
  readonly key: string;
  readonly cause: FailCause;
  readonly tries: number;
  readonly markedMs: number;
  readonly nextTryMs: number;
}

/** Key `archive`: how an archive stands. */
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
  /** Why the hot side gave no figures, and for how long it has not. */
  readonly hotAway?: FailCause & { readonly awayMs: number };
  /** The failing keys that are tried next. */
  readonly failed: readonly ServedFailure[];
  /** What this server did since its start; absent where it only looks. */
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

/** An archive that is shown. */
export interface ArchiveToShow {
  readonly name: string;
  readonly archive: Archive;
  /** Works here, once it is started; absent where the archive is only looked at. */
  readonly worker?: ArchiveWorker;
}

/** Keeps the figures of an archive up to date, until it is closed. */
export interface ArchiveFigures {
  close(): Promise<void>;
}

/**
 * Puts how an archive stands into the store of figures, starts its worker, and goes on looking. A
 * hot side that is away is told like everything else. Errors: `invalid-argument` and `unsupported`,
 * where waiting would not help.
 */
export async function startArchiveFigures<V>(
  shown: ArchiveToShow,
  store: Store<V | ServedArchive>,
): Promise<ArchiveFigures> {
  const look = new Look(shown);
  await look.take();
  if (isStrataError(look.trouble, 'invalid-argument', 'unsupported')) throw look.trouble;
  await store.set('archive', look.figures);
  shown.worker?.start();
  const ending = new AbortController();
  goOn(look, store, ending.signal).catch((error: unknown) => {
    // The last look at what is being closed.
    if (!isStrataError(error, 'closed')) throw error;
  });
  return { close: async () => ending.abort() };
}

async function goOn<V>(
  look: Look,
  store: Store<V | ServedArchive>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await sleep(look.pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    await look.take();
    if (signal.aborted) return;
    await store.set('archive', look.figures);
  }
}

/** Looks at an archive again and again. */
class Look {
  readonly #shown: ArchiveToShow;
  #awaySinceMs: number | undefined;
  #pauseMs = EVERY_MS;
  #figures: ServedArchive;
  /** What the last look failed with. */
  trouble: unknown;

  constructor(shown: ArchiveToShow) {
    this.#shown = shown;
    this.#figures = { name: shown.name, at: Date.now(), failed: [] };
  }

  get figures(): ServedArchive {
    return this.#figures;
  }

  /** Time until the next look. */
  get pauseMs(): number {
    return this.#pauseMs;
  }

  async take(): Promise<void> {
    const startMs = performance.now();
    const { name } = this.#shown;
    try {
      const found = await this.#hot();
      this.#awaySinceMs = undefined;
      this.trouble = undefined;
      this.#pauseMs = pauseAfter(performance.now() - startMs);
      this.#figures = { name, at: Date.now(), ...found, ...this.#work() };
    } catch (error) {
      this.trouble = error;
      this.#awaySinceMs ??= startMs;
      this.#pauseMs = EVERY_MS;
      const awayMs = performance.now() - this.#awaySinceMs;
      const hotAway = { ...causeOf(error), awayMs };
      this.#figures = { name, at: Date.now(), hotAway, failed: [], ...this.#work() };
    }
  }

  async #hot(): Promise<Required<Pick<ServedArchive, 'hot' | 'failed'>>> {
    const { archive } = this.#shown;
    const { dirty, failing, oldestMarkMs, evicted } = await archive.stats();
    const failed = failing === 0 ? [] : await archive.failed(MOST_FAILED);
    const now = Date.now();
    return {
      hot: { dirty, failing, oldestMarkMs, evicted },
      failed: failed.map(({ key, cause, tries, markedAt, nextTryAt }) => ({
        key,
        cause,
        tries,
        markedMs: Math.max(0, now - markedAt),
        nextTryMs: Math.max(0, nextTryAt - now),
      })),
    };
  }

  #work(): Pick<ServedArchive, 'work'> {
    const { worker } = this.#shown;
    if (worker === undefined) return {};
    const { frozen, evicted, failures, bytes, coldAwayMs } = worker.stats();
    const work = {
      frozen,
      evicted,
      failures,
      bytes,
      ...(coldAwayMs !== undefined && { coldAwayMs }),
    };
    return { work };
  }
}

/** A look costs the hot side something: at most a tenth of its time. */
function pauseAfter(tookMs: number): number {
  return Math.min(LONGEST_PAUSE_MS, Math.max(EVERY_MS, REST * tookMs));
}

function causeOf(error: unknown): FailCause {
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: isStrataError(error) ? error.code : 'unavailable',
    message: message.slice(0, MESSAGE_LETTERS).toWellFormed(),
  };
}
