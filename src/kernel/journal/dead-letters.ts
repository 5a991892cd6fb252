import type { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { isStrataError, type StrataError } from '../../store/errors.ts';
import type { Write } from '../../store/primitives.ts';
import type { DeadLetter, JournalWrite } from './journal.ts';
import type { JournalStore } from './journal-store.ts';
import { deadLetterId, type JournalKeys } from './keys.ts';
import { documents, type Parts } from './read-records.ts';
import { inParts, type JournalWriteHead, join, putTogether, takeApart } from './records.ts';
import type { SureCommits } from './sure-commits.ts';

interface LetterBody {
  readonly write: JournalWriteHead;
  readonly cause: DeadLetter<never>['cause'];
  readonly at: number;
}

export interface DeadLettersOptions<V> {
  readonly store: JournalStore<V>;
  readonly keys: JournalKeys;
  readonly env: Env;
  readonly commits: SureCommits;
  readonly onDamaged: (letter: string, error: StrataError) => void;
}

/** Writes that were refused for good, kept until somebody takes them out. */
export class DeadLetters<V> {
  readonly #options: DeadLettersOptions<V>;
  count = 0;

  constructor(options: DeadLettersOptions<V>) {
    this.#options = options;
  }

  /** Counts what is there. */
  async recount(call: Call): Promise<void> {
    const { store, keys } = this.#options;
    let count = 0;
    for await (const { part } of store.documentKeys(keys.deadLetters, call))
      if (part === 0) count++;
    this.count = count;
  }

  async bury(write: JournalWrite<V>, cause: StrataError, call: Call): Promise<void> {
    const { store, keys, env, commits } = this.#options;
    const { heads, values } = takeApart([write]);
    const { code, message } = cause;
    const body: LetterBody = {
      write: heads[0] as JournalWriteHead,
      cause: { code, message },
      at: env.now(),
    };
    const { stored } = store.documents.pack(call.operation, body, values);
    const writes = inParts(keys.deadLetters + deadLetterId(write), stored, store.partBytes);
    const done = await commits.run(writes, undefined, call);
    if (done === undefined) await this.recount(call);
    else if (done.outcomes[0]?.existed === false) this.count++;
  }

  /** Oldest first. What cannot be read is told and left where it is. */
  async list(call: Call): Promise<readonly DeadLetter<V>[]> {
    const { store, keys, onDamaged } = this.#options;
    const letters: DeadLetter<V>[] = [];
    for await (const parts of documents(store, keys.deadLetters, call)) {
      const id = parts.key.slice(keys.deadLetters.length);
      try {
        letters.push(this.#read(id, parts));
      } catch (error) {
        if (!isStrataError(error, 'corrupt')) throw error;
        onDamaged(id, error);
      }
    }
    return letters.sort((a, b) => a.at - b.at);
  }

  async forget(ids: readonly string[], call: Call): Promise<void> {
    const { store, keys, commits } = this.#options;
    const doomed = new Set(ids.map((id) => keys.deadLetters + id));
    const writes: Write<unknown>[] = [];
    for await (const { key, whole } of store.documentKeys(keys.deadLetters, call))
      if (doomed.has(whole)) writes.push({ type: 'delete', key });
    if (writes.length > 0) await commits.run(writes, undefined, call);
    await this.recount(call);
  }

  #read(id: string, { stored, error }: Parts): DeadLetter<V> {
    if (error !== undefined) throw error;
    const { body, values } = this.#options.store.documents.unpack(join(stored).stored);
    const { write, cause, at } = body as LetterBody;
    const [whole] = putTogether([write], values);
    return { id, write: whole as JournalWrite<V>, cause, at };
  }
}
