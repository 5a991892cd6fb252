import { Call, DEFAULT_TIMEOUT_MS } from '../../../store/call.ts';
import type { Entry } from '../../../store/entry.ts';
import { failure, isStrataError } from '../../../store/errors.ts';
import type { Primitives } from '../../../store/primitives.ts';
import type { Layout } from './layout.ts';
import { Ledger } from './ledger.ts';

/** A step: what it looks at, and what it does. May be done again, on what is read anew. */
export interface Step<R> {
  /** The user's keys. */
  readonly users: readonly string[];
  /** The archive's own. */
  readonly own: readonly string[];
  do(ledger: Ledger): R | Promise<R>;
}

interface Pending {
  readonly operation: string;
  readonly step: Step<unknown>;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** Steps that are committed together at most. */
const GROUP_STEPS = 64;
const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 100;

/**
 * Takes steps in a hot store: reads, lets them do their work, and commits it on condition that
 * nothing of it has changed; else again. Steps that come while a commit is under way are taken
 * together in the next.
 */
export class Commits {
  readonly #store: Primitives<Uint8Array>;
  readonly #layout: Layout;
  readonly #timeoutMs: number;
  readonly #pending: Pending[] = [];
  #running = false;

  constructor(store: Primitives<Uint8Array>, layout: Layout, timeoutMs: number | undefined) {
    this.#store = store;
    this.#layout = layout;
    this.#timeoutMs = timeoutMs ?? store.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  take<R>(operation: string, step: Step<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const settle = resolve as (result: unknown) => void;
      this.#pending.push({ operation, step, resolve: settle, reject });
      if (!this.#running) void this.#run();
    });
  }

  /** A call of its own bound, whose reads no copy may answer. */
  call(operation: string): Call {
    const options = { timeoutMs: this.#timeoutMs, fresh: true };
    return new Call(this.#store.env, operation, undefined, options);
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#pending.length > 0) await this.#settle(this.#pending.splice(0, GROUP_STEPS));
    this.#running = false;
  }

  async #settle(group: readonly Pending[]): Promise<void> {
    const [{ operation }] = group as [Pending];
    const call = this.call(operation);
    try {
      const results = await call.guard(this.#committed(call, group));
      group.forEach(({ resolve }, at) => {
        resolve(results[at]);
      });
    } catch (error) {
      // What one of them is refused for must not hold up the others.
      if (group.length > 1 && !isStrataError(error, 'unknown-outcome', 'timeout', 'closed'))
        for (const one of group) await this.#settle([one]);
      else for (const { reject } of group) reject(error);
    }
  }

  async #committed(call: Call, group: readonly Pending[]): Promise<readonly unknown[]> {
    for (let tries = 0; ; tries++) {
      const ledger = await this.#read(call, group);
      const results: unknown[] = [];
      for (const { step } of group) results.push(await step.do(ledger));
      const writes = ledger.writes();
      if (writes.length === 0) return results;
      call.throwIfEnded();
      try {
        await this.#store.commit(writes, call);
        return results;
      } catch (error) {
        if (!isStrataError(error, 'conflict')) throw error;
        await this.#wait(call, tries);
      }
    }
  }

  /**
   * In this order: whoever gives a later generation has read the counts after they were committed
   * with the earlier one, and the keys after that. And a key that is not there is evicted only if its
   * record, read after it, says so.
   */
  async #read(call: Call, group: readonly Pending[]): Promise<Ledger> {
    const reads = new Map<string, Entry<Uint8Array> | undefined>();
    const parts = [
      [this.#layout.counts],
      group.flatMap(({ step }) => step.users),
      group.flatMap(({ step }) => step.own),
    ];
    for (const part of parts) {
      const keys = [...new Set(part)];
      if (keys.length === 0) continue;
      const entries = await this.#store.readMany(keys, call);
      keys.forEach((key, at) => {
        reads.set(key, checked(call.operation, entries[at]));
      });
    }
    return new Ledger(this.#layout, reads, this.#store.env.now());
  }

  #wait(call: Call, tries: number): Promise<void> {
    const { env } = this.#store;
    const ms = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries) * (0.5 + env.random() / 2);
    return call.untilEnd(
      new Promise((resolve) => {
        env.setTimer(resolve, ms);
      }),
    );
  }
}

/** Only bytes can be archived. */
function checked(
  operation: string,
  entry: Entry<Uint8Array> | undefined,
): Entry<Uint8Array> | undefined {
  if (entry === undefined || entry.value instanceof Uint8Array) return entry;
  const { key } = entry as Entry<unknown>;
  const what = `the value of ${JSON.stringify(key)} in the hot store is no bytes`;
  throw failure('unsupported', operation, `${what}; expected a store of bytes, or with a codec`, {
    key,
  });
}
