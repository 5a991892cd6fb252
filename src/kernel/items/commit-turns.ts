import type { Call } from '../../store/call.ts';
import { failure } from '../../store/errors.ts';
import type { Write } from '../../store/primitives.ts';
import { KeyTurns } from './key-turns.ts';

type ByteWrite = Write<Uint8Array>;

/** More commits are refused until some of them are over. */
const MOST_COMMITS = 10_000;

/** Commits that are under way: those of one key one after another, and no more than memory takes. */
export class CommitTurns {
  readonly #mostBytes: number;
  readonly #turns = new KeyTurns();
  #bytes = 0;

  /** `mostBytes`: of values of all commits together; one of them may have more. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Starts a commit when its turn comes, with writes that nobody else changes. Errors: `overloaded`. */
  async run<T>(
    writes: readonly ByteWrite[],
    { operation }: Call,
    work: (owned: readonly ByteWrite[], bytes: number) => Promise<T>,
  ): Promise<T> {
    let bytes = 0;
    for (const write of writes) if (write.type === 'set') bytes += write.value.length;
    const { size } = this.#turns;
    if (size >= MOST_COMMITS || (size > 0 && this.#bytes + bytes > this.#mostBytes))
      throw failure('overloaded', operation, `${size} commits are under way`);
    // The caller may change its bytes as soon as this returns.
    const owned = writes.map((write) =>
      write.type === 'set' ? { ...write, value: write.value.slice() } : write,
    );
    this.#bytes += bytes;
    try {
      const keys = new Set(owned.map(({ key }) => key));
      return await this.#turns.run(keys, () => work(owned, bytes));
    } finally {
      this.#bytes -= bytes;
    }
  }

  /** Resolves when no commit is under way. */
  settle(): Promise<void> {
    return this.#turns.settle();
  }
}
