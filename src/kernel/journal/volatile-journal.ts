import type { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import type { StrataError } from '../../store/errors.ts';
import { randomId, WriteIds } from '../../store/version.ts';
import { approximateBytes } from './approximate-bytes.ts';
import type {
  BlockingJournal,
  DeadLetter,
  Journal,
  JournalRecord,
  JournalWrite,
} from './journal.ts';
import { deadLetterId } from './keys.ts';

/**
 * A journal that keeps nothing but dead letters: it only gives commits their numbers. What was
 * acknowledged ends with the process.
 */
export function volatileJournal<V>(env: Env): Journal<V> {
  return new VolatileJournal(env);
}

class VolatileJournal<V> implements Journal<V> {
  readonly durability = 'memory';
  readonly storeId: string;
  readonly epoch: string;
  readonly blocking: BlockingJournal<V>;
  lastSeq = 0;
  lastId = '';
  readonly #env: Env;
  readonly #ids: WriteIds;
  readonly #letters = new Map<string, DeadLetter<V>>();

  constructor(env: Env) {
    this.#env = env;
    this.#ids = new WriteIds(env);
    this.storeId = randomId(env);
    this.epoch = randomId(env);
    this.blocking = { append: (commits) => this.append(commits), drop: () => {} };
  }

  get deadLetterCount(): number {
    return this.#letters.size;
  }

  async open(): Promise<readonly JournalRecord<V>[]> {
    return [];
  }

  append(commits: readonly (readonly JournalWrite<V>[])[]): readonly JournalRecord<V>[] {
    return commits.map((writes) => {
      this.lastId = this.#ids.text(this.#ids.next());
      this.lastSeq++;
      const { epoch, lastSeq: seq, lastId: id } = this;
      return { seq, id, epoch, writes, bytes: approximateBytes(writes) };
    });
  }

  drop(): void {}

  bury(write: JournalWrite<V>, { code, message }: StrataError): void {
    const id = deadLetterId(write);
    this.#letters.set(id, { id, write, cause: { code, message }, at: this.#env.now() });
  }

  async deadLetters(): Promise<readonly DeadLetter<V>[]> {
    return [...this.#letters.values()];
  }

  async forgetDeadLetters(ids: readonly string[], _call: Call): Promise<void> {
    for (const id of ids) this.#letters.delete(id);
  }

  async close(): Promise<void> {}
}
