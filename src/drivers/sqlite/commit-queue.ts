import type { Call } from '../../store/call.ts';
import type { Env, Timer } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';

/** One transaction takes at most so much, which bounds how long it holds the thread. */
const GROUP_WRITES = 4_096;
const GROUP_BYTES: number = 16 * 1024 * 1024;
/** Longest wait between two tries while another process holds the lock. */
const MAX_RETRY_MS = 16;

/** A commit on its way into a transaction. */
export interface PendingCommit {
  readonly operation: string;
  readonly writes: readonly Write<Uint8Array>[];
  readonly call?: Call;
  succeed(outcome: CommitOutcome): void;
  fail(error: unknown): void;
}

/** Runs commits in one transaction and settles each; false when the lock is held elsewhere and nothing was begun. */
export type RunGroup = (group: readonly PendingCommit[]) => boolean;

/**
 * Gathers the commits that arrive while the event loop is busy, so that they share a transaction
 * and its flush. A commit whose caller gives up before its transaction begins is left out of it.
 */
export class CommitQueue {
  readonly #env: Env;
  readonly #run: RunGroup;
  #pending: PendingCommit[] = [];
  #scheduled = false;
  #retry: Timer | undefined;
  #tries = 0;
  #drained: (() => void) | undefined;
  #closed = false;

  constructor(env: Env, run: RunGroup) {
    this.#env = env;
    this.#run = run;
  }

  add(writes: readonly Write<Uint8Array>[], call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    if (this.#closed) throw closed(call.operation, 'the store is closed');
    // The caller may change its bytes as soon as this returns.
    const owned = writes.map((write) =>
      write.type === 'set' ? { ...write, value: write.value.slice() } : write,
    );
    return new Promise((succeed, fail) => {
      this.#pending.push({ operation: call.operation, writes: owned, call, succeed, fail });
      this.#schedule();
    });
  }

  /** Takes no more, and resolves when nothing is pending; what is still pending after the wait fails with `closed`. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    if (this.#pending.length === 0) return;
    const timer = this.#env.setTimer(() => this.#giveUp(), timeoutMs);
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    timer.cancel();
  }

  #schedule(): void {
    if (this.#scheduled || this.#retry !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const group = this.#take();
    if (group.length > 0) {
      let begun = true;
      try {
        begun = this.#run(group);
      } catch (error) {
        for (const commit of group) commit.fail(error);
      }
      if (!begun) {
        this.#pending = group.concat(this.#pending);
        this.#retryLater();
        return;
      }
    }
    this.#tries = 0;
    if (this.#pending.length > 0) this.#schedule();
    else this.#drained?.();
  }

  /** The next commits in order, without those that were given up. */
  #take(): PendingCommit[] {
    const group: PendingCommit[] = [];
    let writes = 0;
    let bytes = 0;
    let at = 0;
    for (; at < this.#pending.length; at++) {
      if (writes >= GROUP_WRITES || bytes >= GROUP_BYTES) break;
      const commit = this.#pending[at] as PendingCommit;
      if (commit.call?.ended !== undefined) {
        commit.fail(commit.call.ended);
        continue;
      }
      group.push(commit);
      writes += commit.writes.length;
      for (const write of commit.writes) if (write.type === 'set') bytes += write.value.length;
    }
    this.#pending = at === this.#pending.length ? [] : this.#pending.slice(at);
    return group;
  }

  #retryLater(): void {
    const longestMs = Math.min(2 ** this.#tries++, MAX_RETRY_MS);
    this.#retry = this.#env.setTimer(
      () => {
        this.#retry = undefined;
        this.#flush();
      },
      longestMs * (0.5 + this.#env.random() / 2),
    );
  }

  #giveUp(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    const pending = this.#pending;
    this.#pending = [];
    for (const { operation, fail } of pending)
      fail(closed(operation, 'the store was closed while another process kept it locked'));
    this.#drained?.();
  }
}

function closed(operation: string, why: string): StrataError {
  return new StrataError('closed', `${operation}: ${why}`, { operation });
}
