import type { Awaitable } from '../../store/awaitable.ts';
import type { Env } from '../../store/env.ts';
import { isStrataError, type StrataErrorCode } from '../../store/errors.ts';
import type { EventPublisher, OperationEnd, OperationStart } from './events.ts';

/** What is known of one operation of a store. */
export interface OperationStats {
  /** Reads, iterations and commits; an update counts each, a watch each commit that it reads. */
  readonly count: number;
  /** Failures by code; `other` for what is no `StrataError`. */
  readonly errors: Readonly<Partial<Record<StrataErrorCode | 'other', number>>>;
  readonly totalMs: number;
  readonly maxMs: number;
  /** Bytes of values written, where their size is known without encoding. */
  readonly inBytes: number;
  /** Bytes of values read. */
  readonly outBytes: number;
}

/** Counters of an observed store, as they are at the moment. */
export interface ObservedStats {
  readonly name: string;
  /** By method: `get`, `set`, `batch`, `list`, `watch` … */
  readonly operations: Readonly<Record<string, OperationStats>>;
  /** How often a hook has thrown. */
  readonly hookErrors: number;
}

/** Hears of operations; what it throws is reported and harms nothing. */
export interface ObservedHooks {
  /** Before an operation. */
  before?(start: OperationStart): void;
  /** After it, whether it succeeded or failed. */
  after?(end: OperationEnd): void;
}

export interface RecorderOptions extends ObservedHooks {
  readonly name: string;
  readonly env: Env;
  readonly publisher: EventPublisher | undefined;
  readonly onHookError: (error: unknown) => void;
}

/** What an operation has read or done, for its end. */
export interface Findings {
  readonly outBytes?: number;
  readonly found?: number;
  readonly rev?: number | undefined;
}

/** What is known at its start. */
export interface Intent {
  readonly operation: string;
  readonly step: OperationStart['step'];
  readonly key?: string | undefined;
  readonly keys?: number;
  readonly inBytes?: number;
}

interface Counters {
  count: number;
  errors: Partial<Record<StrataErrorCode | 'other', number>>;
  totalMs: number;
  maxMs: number;
  inBytes: number;
  outBytes: number;
}

/** An operation under way. */
interface Running {
  readonly intent: Intent;
  /** Absent while nobody listens. */
  readonly start: OperationStart | undefined;
  readonly beganMs: number;
}

/** An iteration under way. */
interface Iteration {
  /** Something is handed to the reader, whose time begins. */
  give(findings: Findings): void;
  /** The reader asks for more. */
  goOn(): void;
  fail(error: unknown): void;
  end(): void;
}

/** Counts operations and tells the hooks and the channel of them. */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #counters = new Map<string, Counters>();
  readonly #hooked: boolean;
  #started = 0;
  #hookErrors = 0;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#hooked = options.before !== undefined || options.after !== undefined;
  }

  stats(): ObservedStats {
    const operations: Record<string, OperationStats> = {};
    for (const [name, counters] of this.#counters)
      operations[name] = { ...counters, errors: { ...counters.errors } };
    return { name: this.#options.name, operations, hookErrors: this.#hookErrors };
  }

  /** Runs and records one operation; what is at hand stays without a promise. */
  run<T>(
    intent: Intent,
    work: () => Awaitable<T>,
    findings: (result: T) => Findings,
  ): Awaitable<T> {
    const running = this.#begin(intent);
    let result: Awaitable<T>;
    try {
      result = work();
    } catch (error) {
      this.#end(running, {}, error);
      throw error;
    }
    if (!(result instanceof Promise)) {
      this.#end(running, findings(result));
      return result;
    }
    return result.then(
      (value) => {
        this.#end(running, findings(value));
        return value;
      },
      (error: unknown) => {
        this.#end(running, {}, error);
        throw error;
      },
    );
  }

  /** Records an asynchronous iteration as one operation, when it ends; the reader's own time does not count. */
  async *pages<T>(
    intent: Intent,
    source: AsyncIterable<T>,
    findings: (page: T) => Findings,
  ): AsyncGenerator<T> {
    const iteration = this.#iterate(intent);
    try {
      for await (const page of source) {
        iteration.give(findings(page));
        yield page;
        iteration.goOn();
      }
    } catch (error) {
      iteration.fail(error);
      throw error;
    } finally {
      iteration.end();
    }
  }

  /** As `pages`, synchronous. */
  *items<T>(intent: Intent, source: Iterable<T>, findings: (item: T) => Findings): Generator<T> {
    const iteration = this.#iterate(intent);
    try {
      for (const item of source) {
        iteration.give(findings(item));
        yield item;
        iteration.goOn();
      }
    } catch (error) {
      iteration.fail(error);
      throw error;
    } finally {
      iteration.end();
    }
  }

  #iterate(intent: Intent): Iteration {
    const { env } = this.#options;
    const running = this.#begin(intent);
    let found = 0;
    let outBytes = 0;
    let rev: number | undefined;
    let outsideMs = 0;
    let givenAtMs: number | undefined;
    let failure: unknown;
    const goOn = (): void => {
      if (givenAtMs !== undefined) outsideMs += env.monotonicMs() - givenAtMs;
      givenAtMs = undefined;
    };
    return {
      give: (findings) => {
        found += findings.found ?? 0;
        outBytes += findings.outBytes ?? 0;
        rev = findings.rev ?? rev;
        givenAtMs = env.monotonicMs();
      },
      goOn,
      fail: (error) => {
        failure = error;
      },
      end: () => {
        goOn();
        this.#end(running, { found, outBytes, rev }, failure, outsideMs);
      },
    };
  }

  #begin(intent: Intent): Running {
    const { name, env, publisher } = this.#options;
    let start: OperationStart | undefined;
    if (this.#hooked || publisher?.hasSubscribers === true) {
      const { inBytes, key, ...rest } = intent;
      start = { id: ++this.#started, store: name, ...rest, ...(key !== undefined && { key }) };
      this.#tell('before', start);
    }
    return { intent, start, beganMs: env.monotonicMs() };
  }

  #end(running: Running, findings: Findings, error?: unknown, outsideMs = 0): void {
    const { intent, start, beganMs } = running;
    const durationMs = this.#options.env.monotonicMs() - beganMs - outsideMs;
    const { inBytes = 0 } = intent;
    const { outBytes = 0, found, rev } = findings;
    const counters = this.#of(intent.operation);
    counters.count++;
    counters.totalMs += durationMs;
    if (durationMs > counters.maxMs) counters.maxMs = durationMs;
    counters.inBytes += inBytes;
    counters.outBytes += outBytes;
    if (error !== undefined) {
      const code = isStrataError(error) ? error.code : 'other';
      counters.errors[code] = (counters.errors[code] ?? 0) + 1;
    }
    if (start === undefined) return;
    const facts = {
      ...(found !== undefined && { found }),
      ...(rev !== undefined && { rev }),
      ...(error !== undefined && { error }),
    };
    this.#tell('after', { ...start, durationMs, inBytes, outBytes, ...facts });
  }

  #of(operation: string): Counters {
    let counters = this.#counters.get(operation);
    if (counters === undefined) {
      counters = { count: 0, errors: {}, totalMs: 0, maxMs: 0, inBytes: 0, outBytes: 0 };
      this.#counters.set(operation, counters);
    }
    return counters;
  }

  #tell(when: 'before', event: OperationStart): void;
  #tell(when: 'after', event: OperationEnd): void;
  #tell(when: 'before' | 'after', event: OperationStart | OperationEnd): void {
    const { publisher } = this.#options;
    try {
      if (when === 'before') this.#options.before?.(event);
      else this.#options.after?.(event as OperationEnd);
      if (when === 'after' && publisher?.hasSubscribers === true) publisher.publish(event);
    } catch (error) {
      this.#hookErrors++;
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    try {
      this.#options.onHookError(error);
    } catch {
      // The last who could be told has failed: it is counted, and the operation goes on.
      this.#hookErrors++;
    }
  }
}
