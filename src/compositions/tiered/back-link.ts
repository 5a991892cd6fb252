import { attempt } from '../../kernel/awaitable.ts';
import { Breaker, type Verdict } from '../../kernel/breaker.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { isStrataError, StrataError } from '../../store/errors.ts';
import { RESERVED_PREFIX } from '../../store/keys.ts';
import type { Feed, Primitives } from '../../store/primitives.ts';
import type { TieredEvent, TieredStatus } from './events.ts';
import { type BreakerOptions, MAX_PAUSE_MS } from './options.ts';
import { type BackBounds, BackCall, backError, boundMs } from './parts.ts';

/** Never written: reading it tells whether the back answers. */
const PROBE_KEY = `${RESERVED_PREFIX}tiered/probe`;
/** Of a back that may take for ever, a probe is given up after this. */
const LONGEST_PROBE_MS = 10_000;

export interface BackLinkSetup<V> {
  readonly env: Env;
  readonly back: Primitives<V>;
  readonly bounds: BackBounds;
  readonly breaker: BreakerOptions | false | undefined;
  readonly onEvent: (event: TieredEvent) => void;
}

/**
 * The way to the back: every call of it goes through here, is bounded, and counts for the breaker.
 * While the back is away calls fail at once with `unavailable`. It is then tried again by a read of
 * its own, so that its return is noticed without a caller who fails.
 */
export class BackLink<V> {
  readonly #env: Env;
  readonly #back: Primitives<V>;
  readonly #bounds: BackBounds;
  readonly #breaker: Breaker | undefined;
  #probing: Call | undefined;

  constructor({ env, back, bounds, breaker, onEvent }: BackLinkSetup<V>) {
    this.#env = env;
    this.#back = back;
    this.#bounds = bounds;
    if (breaker === false) return;
    this.#breaker = new Breaker({
      env,
      failures: breaker?.failures ?? 5,
      pauseMs: breaker?.pauseMs ?? 500,
      maxPauseMs: breaker?.maxPauseMs ?? MAX_PAUSE_MS,
      onOpen: (cause) => onEvent({ type: 'back-away', cause }),
      onClose: (awayMs) => onEvent({ type: 'back-returned', awayMs }),
      // What fails there is told to the breaker.
      onPauseOver: () => void this.#probe().catch(() => {}),
    });
  }

  /** Whether the back is left alone because its last calls failed. */
  get away(): boolean {
    return this.#breaker?.openMs !== undefined;
  }

  get status(): TieredStatus['back'] {
    const { openMs, cause } = this.#breaker ?? {};
    return {
      state: openMs === undefined ? 'up' : 'away',
      ...(openMs !== undefined && { awayMs: openMs }),
      ...(cause !== undefined && { lastError: cause }),
    };
  }

  /** What a call of the back would fail with now, without being made. */
  refusal({ operation, key }: Call): StrataError | undefined {
    if (this.#breaker === undefined || this.#breaker.admits) return undefined;
    const { cause, nextTryInMs } = this.#breaker;
    const retryInMs = Math.ceil(nextTryInMs);
    return new StrataError(
      'unavailable',
      `${operation}: the back of the tiered store is away; it is tried again in ${retryInMs} ms`,
      { operation, key, cause, details: { retryInMs } },
    );
  }

  /** The part of a call that goes to the back. */
  part(call: Call): BackCall {
    return new BackCall(call, this.#bounds);
  }

  /** Asks the back for one caller. Errors: `unavailable` when it does not answer in time, or is away. */
  ask<T>(call: Call, work: (part: Call) => Awaitable<T>): Awaitable<T> {
    return this.run(this.part(call), work);
  }

  /** Asks the back for all who want to know what one of them has asked: the end of none of them ends it. */
  askForAll<T>(
    { operation, timeoutMs, fresh }: Call,
    key: string | undefined,
    work: (part: Call) => Awaitable<T>,
  ): Awaitable<T> {
    const options = { timeoutMs: boundMs(timeoutMs, this.#bounds), fresh };
    const part = new Call(this.#env, operation, key, options);
    return this.#admitted(part, () => {
      const result = work(part);
      return result instanceof Promise ? part.guard(result) : result;
    });
  }

  /** As `ask`, with a part made before. */
  run<T>(part: BackCall, work: (part: Call) => Awaitable<T>): Awaitable<T> {
    return this.#admitted(part, () => part.run(work));
  }

  #admitted<T>(part: Call, work: () => Awaitable<T>): Awaitable<T> {
    const breaker = this.#breaker;
    const ticket = breaker?.admit();
    if (breaker !== undefined && ticket === undefined) throw this.refusal(part);
    return attempt(
      work,
      (result) => {
        if (ticket !== undefined) breaker?.settle(ticket, 'answered');
        return result;
      },
      (error) => {
        if (ticket !== undefined) breaker?.settle(ticket, verdictOf(error, part));
        throw backError(error);
      },
    );
  }

  /** Pages of the back, each within its bound. */
  async *pages<T>(pages: AsyncIterable<T>, call: Call): AsyncGenerator<T> {
    const steps = pages[Symbol.asyncIterator]();
    let whole = false;
    try {
      for (;;) {
        const step = await this.run(this.#step(call), () => steps.next());
        whole = step.done === true;
        if (step.done === true) return;
        yield step.value;
      }
    } finally {
      // A step that hangs is not waited for.
      if (!whole) steps.return?.()?.then(undefined, () => {});
    }
  }

  /** The feed of the back: what asks is bounded; to wait for a change is not. */
  feed(inner: Feed<V>): Feed<V> {
    return {
      state: (call) =>
        this.run(call.operation === 'cursor' ? this.part(call) : this.#step(call), (part) =>
          inner.state(part),
        ),
      read: (after, call) => this.pages(inner.read(after, call), call),
      wait: (after, call) => inner.wait(after, call),
      epochOf: (rev) => inner.epochOf(rev),
    };
  }

  close(): void {
    this.#breaker?.end();
    this.#probing?.end('closed');
  }

  /** A step of something that has no bound of its own. */
  #step(call: Call): BackCall {
    const { timeoutMs } = this.#bounds;
    return new BackCall(call, { timeoutMs, usualMs: Number.POSITIVE_INFINITY });
  }

  async #probe(): Promise<void> {
    const { timeoutMs } = this.#bounds;
    const bound = { timeoutMs: Number.isFinite(timeoutMs) ? timeoutMs : LONGEST_PROBE_MS };
    // Past the caches of a back that is tiered itself.
    const call = new Call(this.#env, 'probe', undefined, { ...bound, fresh: true });
    this.#probing = call;
    await this.run(new BackCall(call, { ...bound, usualMs: call.timeoutMs }), (part) =>
      this.#back.readOne(PROBE_KEY, part),
    );
  }
}

/** What the failure of a call says of the back. */
function verdictOf(error: unknown, part: Call): Verdict {
  // The caller gave up.
  if (part.ended !== undefined && part.ended.code !== 'timeout' && !isTimeout(part.ended))
    return 'no-verdict';
  if (!isStrataError(error)) return 'no-verdict';
  switch (error.code) {
    case 'timeout':
    case 'unavailable':
    case 'unknown-outcome':
      return error;
    case 'aborted':
    case 'closed':
      return 'no-verdict';
    default:
      return 'answered';
  }
}

/** A write that may have been applied, and was not answered in time. */
function isTimeout({ code, details }: StrataError): boolean {
  return code === 'unknown-outcome' && details?.reason === 'timeout';
}
