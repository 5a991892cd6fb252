import type { Commit, Cursor, Entry } from '../../store/entry.ts';
import type { WatchOptions } from '../../store/operations.ts';
import type { Store } from '../../store/store.ts';
import { equal, ok } from '../assert.ts';
import { type CaseContext, collect, settles } from './case.ts';

/** A store's state, by key. */
export type State = Map<string, Entry<unknown>>;

/** What a store holds now. */
export async function stateOf(store: Store<unknown>): Promise<State> {
  return new Map((await collect(store.list())).map((entry) => [entry.key, entry]));
}

/** Compares states without regard to the order in which their keys came. */
export function sameState(actual: State, expected: State, what: string): void {
  const listed = (state: State): unknown[] =>
    [...state.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  equal(listed(actual), listed(expected), what);
}

/** Applies a commit to a copy of the state at `from`, checking its form. */
export function applyCommit(state: State, commit: Commit<unknown>): void {
  const { from, to, writes } = commit;
  ok(from < to, `a commit goes forward: (${from}, ${to}]`);
  const keys = writes.map(({ key }) => key);
  equal(new Set(keys).size, keys.length, 'each key once in a commit');
  for (const change of writes) {
    ok(change.key >= '\u0001', 'no reserved key is shown');
    const { rev = -1 } = change;
    ok(from < rev && rev <= to, `the revision ${rev} lies in (${from}, ${to}]`);
    if (change.type === 'delete') {
      equal(Object.keys(change).sort(), ['key', 'rev', 'type'], 'what a delete says');
      state.delete(change.key);
      continue;
    }
    const { type: _, ...entry } = change;
    state.set(change.key, entry);
  }
}

/** The state without what has expired: what a holder of a copy shows. */
export function living(state: State, nowMs: number): State {
  return new Map(
    [...state].filter(([, { expiresAt }]) => expiresAt === undefined || expiresAt > nowMs),
  );
}

/** Holds a copy of a store by its feed alone. */
export class Follower {
  readonly state: State;
  /** Where the copy stands. */
  cursor: Cursor | undefined;
  readonly commits: Commit<unknown>[] = [];
  readonly #steps: AsyncIterator<Commit<unknown>>;
  readonly #t: CaseContext;
  #to: number | undefined;

  /** Follows from the whole state, or from a cursor with the state at it. */
  constructor(t: CaseContext, store: Store<unknown>, options: WatchOptions, at: State = new Map()) {
    this.#t = t;
    this.state = new Map(at);
    this.cursor = options.after === 'start' ? undefined : options.after;
    this.#steps = store.watch(options)[Symbol.asyncIterator]();
  }

  /** Applies the next commit. */
  async step(): Promise<Commit<unknown>> {
    const { value: commit, done } = await next(this.#t, this.#steps);
    ok(done !== true, 'a watch does not end by itself');
    if (this.#to !== undefined)
      equal(commit.from, this.#to, 'a commit begins where the last ended');
    this.#to = commit.to;
    this.cursor = commit.cursor;
    this.commits.push(commit);
    applyCommit(this.state, commit);
    return commit;
  }

  /** Applies commits until it stands where the store now does. */
  async catchUp(store: Store<unknown>): Promise<void> {
    const head = await store.cursor();
    while (this.cursor !== head) await this.step();
  }

  async stop(): Promise<void> {
    await this.#steps.return?.();
  }
}

/** The next commit of a watch, or an error when none comes: simulated time passes where the store's is. */
export async function next<T>(
  t: CaseContext,
  steps: AsyncIterator<T>,
): Promise<IteratorResult<T, T>> {
  return settles(t, steps.next(), 'the next commit');
}

/** Checks that a watch has nothing to give for now. Ends it. */
export async function quiet(t: CaseContext, steps: AsyncIterator<unknown>): Promise<void> {
  let arrived: unknown;
  const step = steps.next().then(
    ({ done, value }) => {
      if (done !== true) arrived = value;
    },
    (error: unknown) => {
      arrived = error;
    },
  );
  await t.pass(30);
  equal(arrived, undefined, 'what a quiet watch gives');
  await steps.return?.();
  await step;
}
