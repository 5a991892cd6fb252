import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import type { Codec } from '../../store/codec.ts';
import type { Condition, Entry } from '../../store/entry.ts';
import { failure, isStrataError } from '../../store/errors.ts';
import { type KeyRange, prefixBounds } from '../../store/keys.ts';
import type { CommitOutcome, Primitives, Write } from '../../store/primitives.ts';
import { Documents } from './documents.ts';
import { parsePart } from './keys.ts';
import { within } from './patience.ts';

/** A document that stands alone, with the version of its entry. */
export interface Standing<N> {
  readonly note: N;
  readonly version: string;
}

/** A store as a journal uses it: its bytes where it has them, and how documents are kept there. */
export class JournalStore<V> {
  readonly primitives: Primitives<unknown>;
  readonly documents: Documents<V>;
  /** Longer documents of bytes are kept in parts. */
  readonly partBytes: number;

  constructor(store: Primitives<unknown>, codec: Codec<V> | undefined) {
    this.primitives = (store.bytes as Primitives<unknown> | undefined) ?? store;
    const known = codec ?? (store.codec as Codec<V> | undefined);
    const plain = known === undefined && store.bytes === undefined && accepts(store, {});
    this.documents = new Documents(plain ? 'plain' : 'bytes', known);
    this.partBytes = this.primitives.capabilities.maxValueBytes ?? Number.POSITIVE_INFINITY;
  }

  commit(writes: readonly Write<unknown>[], call: Call): Awaitable<CommitOutcome> {
    return this.primitives.commit(writes, call);
  }

  read(key: string, call: Call): Promise<Entry<unknown> | undefined> {
    return within(call, this.primitives.readOne(key, call));
  }

  /** Every key with a prefix, in order. */
  async *keys(prefix: string, call: Call): AsyncGenerator<string> {
    const range: KeyRange = {
      ...prefixBounds(prefix),
      reverse: false,
      limit: Number.POSITIVE_INFINITY,
    };
    for await (const page of this.primitives.scanKeys(range, call)) {
      call.throwIfEnded();
      yield* page;
    }
  }

  /** As `keys`, with the key of the document to which each belongs. */
  async *documentKeys(
    prefix: string,
    call: Call,
  ): AsyncGenerator<{ readonly key: string; readonly whole: string; readonly part: number }> {
    for await (const key of this.keys(prefix, call)) {
      const { key: whole, part } = parsePart(key);
      yield { key, whole, part };
    }
  }

  /** Reads a note; `undefined` where there is none. Errors: `corrupt`. */
  async readNote<N>(
    key: string,
    isNote: (body: Partial<N>) => boolean,
    call: Call,
  ): Promise<Standing<N> | undefined> {
    const entry = await this.read(key, call);
    if (entry === undefined) return undefined;
    const body = this.documents.unpack(entry.value).body as Partial<N> | null;
    if (body === null || !isNote(body))
      throw failure('corrupt', call.operation, 'a note of the journal is damaged', { key });
    return { note: body as N, version: entry.version };
  }

  writeNote(key: string, note: unknown, condition?: Condition): Write<unknown> {
    const value = this.documents.pack('open', note).stored;
    return { type: 'set', key, value, ...(condition !== undefined && { if: condition }) };
  }
}

function accepts(store: Primitives<unknown>, value: unknown): boolean {
  try {
    store.checkValue?.('open', 'journal', value);
    return true;
  } catch (error) {
    if (isStrataError(error, 'invalid-argument')) return false;
    throw error;
  }
}
