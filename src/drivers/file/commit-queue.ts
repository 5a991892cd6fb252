import type { Call } from '../../store/call.ts';
import { failure } from '../../store/errors.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';

/** One round takes at most so much. */
const ROUND_COMMITS = 256;
const ROUND_BYTES: number = 32 * 1024 * 1024;
/** More than that is refused until some of it is written. */
const MAX_PENDING_COMMITS = 100_000;
const MAX_PENDING_BYTES: number = 256 * 1024 * 1024;

/** A commit on its way to the disk. */
export interface PendingCommit {
  readonly operation: string;
  readonly writes: readonly Write<Uint8Array>[];
  readonly bytes: number;
  readonly call: Call;
  succeed(outcome: CommitOutcome): void;
  fail(error: unknown): void;
}

/** Writes commits of which no two touch the same key, and settles each; gives back those to be tried again. */
export type RunRound = (round: readonly PendingCommit[]) => Promise<readonly PendingCommit[]>;

/**
 * Gathers the commits that arrive while others are written, so that they are flushed side by side.
 * Commits of one key keep their order. One whose caller gives up before it is begun is left out.
 */
export class CommitQueue {
  readonly #run: RunRound;
  #pending: PendingCommit[] = [];
  #pendingBytes = 0;
  #working: Promise<void> | undefined;
  #closed = false;

  constructor(run: RunRound) {
    this.#run = run;
  }

  add(writes: readonly Write<Uint8Array>[], call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    const { operation } = call;
    if (this.#closed) throw failure('closed', operation, 'the store is closed');
    let bytes = 0;
    for (const write of writes) if (write.type === 'set') bytes += write.value.length;
    const full =
      this.#pending.length >= MAX_PENDING_COMMITS ||
      (this.#pending.length > 0 && this.#pendingBytes + bytes > MAX_PENDING_BYTES);
    if (full)
      throw failure('overloaded', operation, `${this.#pending.length} commits wait for the disk`);
    // The caller may change its bytes as soon as this returns.
    const owned = writes.map((write) =>
      write.type === 'set' ? { ...write, value: write.value.slice() } : write,
    );
    return new Promise((succeed, fail) => {
      this.#pendingBytes += bytes;
      this.#pending.push({ operation, writes: owned, bytes, call, succeed, fail });
      this.#working ??= this.#work();
    });
  }

  /** Takes no more, and resolves when nothing is pending. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
  }

  async #work(): Promise<void> {
    // What arrives in the same turn of the event loop belongs to the first round.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const round = this.#take();
      if (round.length === 0) continue;
      let again: readonly PendingCommit[] = [];
      try {
        again = await this.#run(round);
      } catch (error) {
        for (const { fail } of round) fail(error);
      }
      for (const { bytes } of again) this.#pendingBytes += bytes;
      this.#pending = [...again, ...this.#pending];
    }
    this.#working = undefined;
  }

  /** The next commits in order, up to one whose key is already among them. */
  #take(): PendingCommit[] {
    const round: PendingCommit[] = [];
    const keys = new Set<string>();
    let bytes = 0;
    let at = 0;
    for (; at < this.#pending.length; at++) {
      const commit = this.#pending[at] as PendingCommit;
      if (commit.call.ended === undefined) {
        if (
          round.length >= ROUND_COMMITS ||
          (round.length > 0 && bytes + commit.bytes > ROUND_BYTES)
        )
          break;
        if (commit.writes.some(({ key }) => keys.has(key))) break;
        for (const { key } of commit.writes) keys.add(key);
        bytes += commit.bytes;
        round.push(commit);
      } else commit.fail(commit.call.ended);
      this.#pendingBytes -= commit.bytes;
    }
    this.#pending = this.#pending.slice(at);
    return round;
  }
}
