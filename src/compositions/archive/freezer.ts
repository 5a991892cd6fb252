import { Breaker } from '../../kernel/breaker.ts';
import { failure, isStrataError, StrataError } from '../../store/errors.ts';
import {
  type ColdObject,
  type ColdObjects,
  DELETED,
  isInDoubt,
  type SealedObject,
} from './cold-objects.ts';
import { isOfHotSide } from './cold-owner.ts';
import type { Named } from './hot-key.ts';
import type { HotSide, Taken } from './hot-side.ts';
import type { KnownObjects, Standing } from './known-objects.ts';
import type { ArchiveEvent } from './worker-events.ts';

/** Delays between tries of a key that cannot be frozen: doubled with each, half of it left to chance. */
export interface RetryDelays {
  /** In ms; default 1,000. */
  readonly firstMs?: number;
  /** In ms; default 60,000. */
  readonly mostMs?: number;
}

/** How marks are worked off. */
export interface FreezerOptions {
  readonly leaseMs: number;
  readonly throttleMs: number;
  readonly retry: Required<RetryDelays>;
}

/** What happens to marks that are worked off. */
export type FreezeEvent = Extract<
  ArchiveEvent,
  { type: 'frozen' | 'deleted' | 'failed' | 'cold-away' | 'cold-returned' }
>;

/** A mark that was taken, with what is to be put for it. */
export interface Work {
  readonly item: Taken;
  /** Sealed in advance, so that the cold store need not wait; absent where nothing is to be put. */
  readonly sealed: Promise<SealedObject> | undefined;
  /** Resolves when it is known whose it is. */
  readonly asked: Promise<void> | undefined;
}

type Fate = 'frozen' | 'deleted' | 'again';

/** Payloads that are taken at once, about. */
const TAKEN_BYTES = 16 * 1024 * 1024;
/** Times that one put is tried while others write the same object. */
const PUTS = 4;
/** Failures in a row after which the cold store is tried with one key at a time. */
const FAILURES = 8;
/** Longest pause between two such tries. */
const LONGEST_PAUSE_MS = 10_000;
/** What of an error is kept with the mark. */
const MESSAGE_LETTERS = 200;

/** Works off marks: takes them under a lease, puts what they stand for, and settles them. */
export class Freezer {
  readonly #hot: HotSide;
  readonly #cold: ColdObjects;
  readonly #options: FreezerOptions;
  readonly #tell: (event: FreezeEvent) => void;
  readonly #breaker: Breaker;
  readonly #known: KnownObjects;

  constructor(
    hot: HotSide,
    cold: ColdObjects,
    known: KnownObjects,
    options: FreezerOptions,
    tell: (event: FreezeEvent) => void,
    onPauseOver: () => void = () => {},
  ) {
    this.#hot = hot;
    this.#cold = cold;
    this.#known = known;
    this.#options = options;
    this.#tell = tell;
    const { firstMs, mostMs } = options.retry;
    this.#breaker = new Breaker({
      env: hot.env,
      failures: FAILURES,
      pauseMs: firstMs,
      maxPauseMs: Math.min(mostMs, LONGEST_PAUSE_MS),
      onOpen: (cause) => tell({ type: 'cold-away', cause }),
      onClose: (awayMs) => tell({ type: 'cold-returned', awayMs }),
      onPauseOver,
    });
  }

  /** How many marks may be under way: one at a time while the cold store is away, none in a pause. */
  get most(): number {
    if (this.coldAwayMs === undefined) return Number.POSITIVE_INFINITY;
    return this.#breaker.admits ? 1 : 0;
  }

  /** For how long the cold store has failed, in ms; `undefined` while it answers. */
  get coldAwayMs(): number | undefined {
    return this.#breaker.openMs;
  }

  get nowMs(): number {
    return this.#hot.env.monotonicMs();
  }

  /** Takes so many marks that are due, or those of some keys whether due or not. */
  async take(
    operation: string,
    mostKeys: number,
    only?: readonly Named[],
  ): Promise<readonly Work[]> {
    const { leaseMs } = this.#options;
    const bounds = { leaseMs, mostKeys, mostBytes: TAKEN_BYTES };
    const taken = await this.#hot.take(
      operation,
      only === undefined ? bounds : { ...bounds, only },
    );
    // A hot side that lost its keys since must not put its next ones over what was theirs.
    const asked = taken.length > 0 ? this.#cold.askHot() : undefined;
    return taken.map((item) => ({ item, asked, sealed: this.#sealed(item) }));
  }

  #sealed({ key, object, state }: Taken): Promise<SealedObject> | undefined {
    // Its object is there, or it would not be recorded so; and what cannot be read fails.
    if (state === 'evicted' || state === 'error') return undefined;
    const sealed = this.#cold.seal(key, object);
    // It fails where it is put, if it comes to that.
    sealed.catch(() => undefined);
    return sealed;
  }

  /** Whether others may have taken what was taken then. */
  hasLapsed(takenMs: number): boolean {
    return this.nowMs - takenMs >= this.#options.leaseMs;
  }

  /**
   * Works off a mark that was taken at that time; `onPut` is called when the cold store is done with
   * it, if it comes to that. Never rejects: what fails is told, and the mark stays.
   */
  async workOff(
    operation: string,
    work: Work,
    takenMs: number,
    onPut: () => void = () => {},
  ): Promise<void> {
    const { item } = work;
    try {
      const fate = await this.#frozen(operation, work, takenMs, onPut);
      const key = item.key.shown;
      if (fate === 'deleted') this.#tell({ type: 'deleted', key });
      if (fate === 'frozen') {
        const { payload, logical } = item.object;
        const bytes = payload.length + (logical?.length ?? 0);
        this.#tell({ type: 'frozen', key, bytes, tookMs: this.nowMs - takenMs });
      }
    } catch (error) {
      await this.#failed(operation, item, error);
    }
  }

  async #failed(operation: string, item: Taken, cause: unknown): Promise<void> {
    const { firstMs, mostMs } = this.#options.retry;
    const delayMs = Math.min(mostMs, firstMs * 2 ** Math.min(item.tries, 30));
    const jitteredMs = Math.ceil(delayMs * (0.5 + this.#hot.env.random() / 2));
    const told = { type: 'failed', key: item.key.shown, tries: item.tries + 1, cause } as const;
    try {
      await this.#hot.fail(operation, item, jitteredMs, causeOf(cause));
      this.#tell({ ...told, retryInMs: jitteredMs });
    } catch {
      // The hot side fails too. The mark is there, and due when its lease ends.
      this.#tell({ ...told, retryInMs: this.#options.leaseMs });
    }
  }

  async #frozen(operation: string, work: Work, takenMs: number, onPut: () => void): Promise<Fate> {
    const { item, sealed, asked } = work;
    const { key, state, object } = item;
    if (state === 'error')
      throw failure(
        'unavailable',
        operation,
        `${this.#hot.title} cannot read ${JSON.stringify(key.shown)}`,
        { key: key.shown },
      );
    if (sealed !== undefined && !(await this.#watchedPut(operation, item, sealed, asked)))
      return 'again';
    onPut();
    const { throttleMs } = this.#options;
    const sinceMs = Math.ceil(this.nowMs - takenMs);
    if (!(await this.#hot.settle(operation, item, throttleMs, sinceMs))) return 'again';
    return object.type === DELETED ? 'deleted' : 'frozen';
  }

  async #watchedPut(
    operation: string,
    item: Taken,
    sealed: Promise<SealedObject>,
    asked: Promise<void> | undefined,
  ): Promise<boolean> {
    const ticket = this.#breaker.admit();
    if (ticket === undefined) {
      // Taken before the cold store was found to be away: given back.
      await this.#hot.raise(operation, item, 0);
      return false;
    }
    try {
      const put = await this.#put(operation, item, await sealed, asked);
      this.#breaker.settle(ticket, 'answered');
      return put;
    } catch (error) {
      this.#breaker.settle(ticket, isAway(error) ? error : 'answered');
      throw error;
    }
  }

  async #standing(key: Named, id: string, mayGuess: boolean): Promise<Read> {
    const guess = mayGuess ? this.#known.guess(id) : undefined;
    if (guess !== undefined) return guess;
    const found = await this.#cold.find(key);
    const { object } = found ?? {};
    const generation = object?.generation ?? 0;
    const stands = found === undefined ? { generation } : { version: found.version, generation };
    this.#known.read(id, stands);
    return { ...stands, object };
  }

  /** Puts an object over every older one; false where a newer one stands. */
  async #put(
    operation: string,
    item: Taken,
    sealed: SealedObject,
    asked: Promise<void> | undefined,
  ): Promise<boolean> {
    const { key, object } = item;
    const id = key.bytes.toString('latin1');
    let doubt: unknown;
    for (let tries = 0; tries < PUTS; tries++) {
      const stands = await this.#standing(key, id, tries === 0);
      if (stands.generation >= object.generation) {
        // The put whose answer was lost.
        if (doubt !== undefined && stands.object && isSame(stands.object, object)) return true;
        await this.#hot.raise(operation, item, stands.generation);
        return false;
      }
      try {
        const version = await this.#cold.put(sealed, stands.version, asked);
        this.#known.keep(id, { version, generation: object.generation });
        return true;
      } catch (error) {
        if (!isInDoubt(error)) throw error;
        doubt = error;
      }
    }
    throw doubt;
  }
}

/** What was read of a key in the cold store. */
interface Read extends Standing {
  readonly object?: ColdObject | undefined;
}

/** Whether an error says that the cold store takes nothing at all, rather than not this. */
function isAway(error: unknown): error is StrataError {
  if (!(error instanceof StrataError) || isOfHotSide(error)) return false;
  return isStrataError(
    error,
    'unavailable',
    'timeout',
    'unknown-outcome',
    'overloaded',
    'no-space',
    'denied',
    'closed',
  );
}

function causeOf(error: unknown): { readonly code: string; readonly message: string } {
  const code = isStrataError(error) ? error.code : 'unavailable';
  const message = error instanceof Error ? error.message : String(error);
  return { code, message: message.slice(0, MESSAGE_LETTERS).toWellFormed() };
}

function isSame(a: ColdObject, b: ColdObject): boolean {
  return (
    a.generation === b.generation &&
    a.digest === b.digest &&
    a.expiresAt === b.expiresAt &&
    a.type === b.type
  );
}
