import { isNotApplied } from '../../kernel/not-applied.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import { isStrataError, StrataError } from '../../store/errors.ts';
import type {
  BlockingPrimitives,
  CommitOutcome,
  Primitives,
  Write,
} from '../../store/primitives.ts';

/** One part as the policies see it. The same policies run over either half of it: through the blocking door every result is at hand. */
export interface Door<V> {
  readonly blocking: boolean;
  readOne(key: string, call: Call): Awaitable<Entry<V> | undefined>;
  readMany(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]>;
  commit(writes: readonly Write<V>[], call: Call): Awaitable<CommitOutcome>;
}

export function asyncDoor<V>(part: Primitives<V>): Door<V> {
  return {
    blocking: false,
    readOne: (key, call) => part.readOne(key, call),
    readMany: (keys, call) => part.readMany(keys, call),
    commit: (writes, call) => part.commit(writes, call),
  };
}

export function blockingDoor<V>(part: BlockingPrimitives<V>): Door<V> {
  return {
    blocking: true,
    readOne: (key) => part.readOne(key),
    readMany: (keys) => keys.map((key) => part.readOne(key)),
    commit: (writes, call) => part.commit(writes, call.operation),
  };
}

/** A result of the blocking half, which is at hand by construction. */
export function atHand<T>(result: Awaitable<T>): T {
  if (result instanceof Promise)
    throw new StrataError('unsupported', 'tiered: a part answered late to a blocking call', {
      operation: 'blocking',
    });
  return result;
}

/** How long the back is waited for. */
export interface BackBounds {
  readonly timeoutMs: number;
  /** The time of calls that name none. Who names more is given more. */
  readonly usualMs: number;
}

/** How long the part of a call that goes to the back takes at most: those who name more time than usual are given it. */
export function boundMs(callMs: number, { timeoutMs, usualMs }: BackBounds): number {
  return callMs > usualMs ? callMs : timeoutMs;
}

const FRESH = { fresh: true } as const;

/**
 * The part of a call that goes to the back, with a bound of its own. The caller waits no longer than
 * that; the work itself may go on. What is sent for the part is sent for the whole call.
 */
export class BackCall extends Call {
  /** The work, where it goes on although nobody waits for it. */
  pending: Promise<unknown> | undefined = undefined;
  readonly #whole: Call;

  /** `timeoutMs` holds for calls that ask for no longer time than `usualMs`. */
  constructor(whole: Call, bounds: BackBounds) {
    const mostMs = boundMs(whole.timeoutMs, bounds);
    super(whole.env, whole.operation, whole.key, whole.fresh ? FRESH : undefined, mostMs);
    this.#whole = whole;
  }

  override markSent(): void {
    super.markSent();
    this.#whole.markSent();
  }

  run<T>(work: (call: Call) => Awaitable<T>): Awaitable<T> {
    this.#whole.throwIfEnded();
    const result = work(this);
    if (!(result instanceof Promise)) return result;
    this.pending = result;
    const forget = this.#whole.onEnd(() => this.end('aborted'));
    const done = (): void => {
      this.pending = undefined;
      forget();
    };
    result.then(done, done);
    return this.guard(result);
  }
}

/** Whether an error says that the back is away, and nothing of the key. */
export function isAway(error: unknown): boolean {
  return isStrataError(error, 'unavailable', 'timeout');
}

/** What a failure of the back is for the caller: no answer in time means that it is not available. */
export function backError(error: unknown): unknown {
  if (!isStrataError(error, 'timeout')) return error;
  const { operation, key } = error;
  return new StrataError('unavailable', `${operation}: the back of the tiered store is away`, {
    operation,
    key,
    cause: error,
  });
}

/** Whether a failed write is sure to have changed nothing, and says nothing against the copies. */
export function appliedNothing(error: unknown): boolean {
  return isNotApplied(error) && !isStrataError(error, 'conflict');
}
