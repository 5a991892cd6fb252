import type { Awaitable } from '../store/awaitable.ts';
import type { Call } from '../store/call.ts';
import type { CommitOutcome, Write } from '../store/primitives.ts';

/** Commits whose preparation takes time keep the order in which they were begun. */
export class Turns {
  #last: Promise<unknown> | undefined;

  take<V>(
    prepared: Awaitable<readonly Write<V>[]>,
    call: Call,
    commit: (writes: readonly Write<V>[]) => Awaitable<CommitOutcome>,
  ): Awaitable<CommitOutcome> {
    if (this.#last === undefined && !(prepared instanceof Promise)) return commit(prepared);
    // A preparation that never ends holds up others no longer than its own call.
    const ready = call.untilEnd(Promise.resolve(prepared));
    let done: Awaitable<CommitOutcome> | undefined;
    const turn = Promise.allSettled([this.#last, ready]).then(async () => {
      const writes = await ready;
      call.throwIfEnded();
      done = commit(writes);
    });
    this.#last = turn;
    const settled = (): void => {
      if (this.#last === turn) this.#last = undefined;
    };
    turn.then(settled, settled);
    return turn.then(() => done as Awaitable<CommitOutcome>);
  }
}
