import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { fromCursor, toCursor } from '../../store/feed/cursor.ts';
import type { Position, Primitives, SetWrite, Shape } from '../../store/primitives.ts';

/** What a note may hold, since a store of V holds nothing else: all that it says stands in its metadata. */
const NOTHINGS: readonly unknown[] = [new Uint8Array(1), null, '', 0, {}];

/** How far a member is a copy of which first store: kept in the member, and never ahead of what it has. */
export interface Mark {
  readonly storeId: string;
  readonly at: Position;
  /** The journal of the replica that brought the member there. */
  readonly journal?: string;
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
  /** The journal of this replica, where it has one; its notes name it. */
  journalId: string | undefined;
  readonly #markKey: string;
  readonly #nothing: V;

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
    const nothing = NOTHINGS.find((value) => holds(primitives, this.#markKey, value as V));
    if (nothing === undefined)
      throw new StrataError(
        'unsupported',
        `replica: ${name} is a ${primitives.shape.type} store of such values only that it cannot hold the notes of a replica; put the layer that checks values around the replica`,
        { operation: 'replica' },
      );
    this.#nothing = nothing as V;
  }

  /** A value for what is no entry. */
  get nothing(): V {
    return this.#nothing;
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
    const entry = await this.ask('replicate', (call) =>
      this.primitives.readOne(this.#markKey, call),
    );
    const { storeId, cursor, journal } = entry?.meta ?? {};
    if (typeof storeId !== 'string' || typeof cursor !== 'string') return undefined;
    const at = fromCursor('replicate', cursor);
    return { storeId, at, ...(typeof journal === 'string' && { journal }) };
  }

  /** Notes how far the member came. Gives the note. */
  async writeMark({ storeId, at }: Mark): Promise<Mark> {
    const journal = this.journalId;
    const mark = { storeId, at, ...(journal !== undefined && { journal }) };
    const write = this.markWrite(mark);
    await this.ask('replicate', (call) => this.primitives.commit([write], call));
    return mark;
  }

  /** The same as part of a commit of values. */
  markWrite({ storeId, at }: Mark): SetWrite<V> {
    const journal = this.journalId;
    const meta = { storeId, cursor: toCursor(at), ...(journal !== undefined && { journal }) };
    return { type: 'set', key: this.#markKey, value: this.#nothing, meta };
  }
}

/** Whether a store can hold a value. Errors of its codec and its checks say that it cannot. */
export function holds<V>(
  { checkValue, codec, bytes }: Primitives<V>,
  key: string,
  value: V,
): boolean {
  try {
    checkValue?.('replica', key, value);
    if (bytes !== undefined && codec !== undefined) codec.decode(codec.encode(value));
    return true;
  } catch {
    return false;
  }
}

/** Settles when work does, however it ends. */
export function settled(work: Promise<unknown>): Promise<void> {
  const over = (): void => {};
  return work.then(over, over);
}

/** Any error as one of ours. */
export function asStrataError(error: unknown, operation: string): StrataError {
  if (error instanceof StrataError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new StrataError('unavailable', `${operation}: ${why}`, { operation, cause: error });
}
