import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { fromCursor, toCursor } from '../../store/feed/cursor.ts';
import type { Position, Primitives, SetWrite, Shape } from '../../store/primitives.ts';

/** What a note holds, since a store of V holds nothing else: all that it says stands in its metadata. */
const NOTHING = new Uint8Array(1);

/** How far a member is a copy of which first store: kept in the member, and never ahead of what it has. */
export interface Mark {
  readonly storeId: string;
  readonly at: Position;
}

/** How deep replicas are nested in a store: each level has notes of its own. */
export function nestingOf({ type, parts = {} }: Shape): number {
  const inner = Math.max(0, ...Object.values(parts).map(nestingOf));
  return type === 'replica' ? inner + 1 : inner;
}

/** One store of a replica. */
export class Member<V> {
  readonly name: string;
  readonly primitives: Primitives<V>;
  readonly env: Env;
  readonly timeoutMs: number;
  /** Keys that begin so are notes of this replica about this member, and are not replicated. */
  readonly notePrefix: string;
  readonly #notes: Primitives<unknown>;
  readonly #markKey: string;

  constructor(
    name: string,
    primitives: Primitives<V>,
    shared: { readonly env: Env; readonly timeoutMs: number; readonly level: number },
  ) {
    this.name = name;
    this.primitives = primitives;
    this.env = shared.env;
    this.timeoutMs = shared.timeoutMs;
    this.notePrefix = `\u0000replica/${shared.level}/`;
    this.#markKey = `${this.notePrefix}mark`;
    this.#notes = (primitives.bytes ?? primitives) as Primitives<unknown>;
    try {
      this.#notes.checkValue?.('replica', this.#markKey, NOTHING);
    } catch (cause) {
      throw new StrataError(
        'unsupported',
        `replica: ${name} is a ${primitives.shape.type} store that cannot hold the notes of a replica`,
        { operation: 'replica', cause },
      );
    }
  }

  /** A call in the background: nobody's deadline but its own. */
  call(operation: string): Call {
    return new Call(this.env, operation, undefined, { timeoutMs: this.timeoutMs });
  }

  /** Runs one call in the background, bounded. */
  async ask<T>(operation: string, work: (call: Call) => Awaitable<T>): Promise<T> {
    const call = this.call(operation);
    const result = work(call);
    return result instanceof Promise ? call.guard(result) : result;
  }

  /** Pages in the background, each step bounded; ended with `life`. */
  async *pages<T>(life: Call, open: (call: Call) => AsyncIterable<T>): AsyncGenerator<T> {
    const whole = Call.background(this.env, life.operation);
    const steps = open(whole)[Symbol.asyncIterator]();
    let done = false;
    try {
      for (;;) {
        life.throwIfEnded();
        const step = await this.call(life.operation).guard(life.untilEnd(steps.next()));
        done = step.done === true;
        if (step.done === true) return;
        yield step.value;
      }
    } finally {
      if (!done) {
        // A step that hangs is not waited for.
        whole.end('aborted');
        steps.return?.()?.then(undefined, () => {});
      }
    }
  }

  /** How far the member came, by its own note; `undefined` where it has none that can be read. */
  async readMark(): Promise<Mark | undefined> {
    const entry = await this.ask('replicate', (call) => this.#notes.readOne(this.#markKey, call));
    const { storeId, cursor } = entry?.meta ?? {};
    if (typeof storeId !== 'string' || typeof cursor !== 'string') return undefined;
    return { storeId, at: fromCursor('replicate', cursor) };
  }

  /** Notes how far the member came. */
  async writeMark(mark: Mark): Promise<void> {
    const write = this.markWrite<unknown>(mark, NOTHING);
    await this.ask('replicate', (call) => this.#notes.commit([write], call));
  }

  /** The same as part of a commit of values; `value` is any that the store takes. */
  markWrite<T>({ storeId, at }: Mark, value: T): SetWrite<T> {
    const meta = { storeId, cursor: toCursor(at) };
    return { type: 'set', key: this.#markKey, value, meta };
  }
}

/** Any error as one of ours. */
export function asStrataError(error: unknown, operation: string): StrataError {
  if (error instanceof StrataError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new StrataError('unavailable', `${operation}: ${why}`, { operation, cause: error });
}
