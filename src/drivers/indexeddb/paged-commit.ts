import type { Entry } from '../../store/entry.ts';
import type { KeyRange } from '../../store/keys.ts';
import type { CommitOutcome, PageView, Write } from '../../store/primitives.ts';
import { isExpired, type Pending, planGroup } from './group-plan.ts';
import { PageSize, rangeAfter, readPage } from './pages.ts';
import { type FoundRecords, readRecords } from './records.ts';
import { ENTRIES, encodeKey, type Stored } from './schema.ts';
import { type Before, type StoredBy, type StoredGroup, writeGroup } from './stored-group.ts';

/**
 * Stores a commit whose writes come in pages: each is planned on what the pages before it have
 * written, and stored before the next is asked for. Only the log of whole commits does not hear of it.
 */
export async function writePages<V>(
  tx: IDBTransaction,
  { state: from }: Before<V>,
  [pending]: readonly Pending<V>[],
  by: StoredBy,
): Promise<StoredGroup<V>> {
  const plan = { commits: [], expires: false, answers: [] as (() => void)[] };
  if (pending?.pages === undefined || !pending.begin()) {
    plan.answers.push(() => pending?.reject(undefined));
    return { state: from, plan };
  }
  const view = new TransactionView<V>(tx, by.nowMs);
  let state = from;
  let firstPos = 0;
  let outcome: CommitOutcome = { outcomes: [] };
  for await (const writes of pending.pages(view)) {
    const found = await view.recordsOf(writes);
    const page = planPage({ pending, writes, by, found, rev: from.rev, firstPos });
    outcome = page.outcome;
    if (page.last.size === 0) continue;
    firstPos += page.last.size;
    plan.expires ||= page.expires;
    // The whole is one commit: each page counts on from the same head.
    state = await writeGroup(tx, { ...found, state: { ...state, rev: from.rev } }, page, by);
  }
  plan.answers.push(() => pending.resolve(outcome));
  return { state, plan };
}

function planPage<V>(of: {
  readonly pending: Pending<V>;
  readonly writes: readonly Write<V>[];
  readonly by: StoredBy;
  readonly found: FoundRecords<V>;
  readonly rev: number;
  readonly firstPos: number;
}): ReturnType<typeof planGroup<V>> & { readonly outcome: CommitOutcome } {
  const { pending, writes, by, found, rev, firstPos } = of;
  let outcome: CommitOutcome = { outcomes: [] };
  const page: Pending<V> = {
    operation: pending.operation,
    writes,
    begin: () => true,
    resolve: (done) => {
      outcome = done;
    },
    // A lost condition undoes the whole.
    reject: (error) => {
      throw error;
    },
  };
  const { nowMs, ids } = by;
  const plan = planGroup({ group: [page], rev, nowMs, ids, records: found.records, firstPos });
  for (const answer of plan.answers) answer();
  return { ...plan, outcome };
}

/** Reads within the transaction that is being written. */
class TransactionView<V> implements PageView<V> {
  readonly #entries: IDBObjectStore;
  readonly #nowMs: number;
  /** What was last asked for. */
  #read: { readonly keys: ReadonlySet<string>; readonly found: FoundRecords<V> } | undefined;
  /** Where a scan has found nothing: there is only what was written since. */
  #empty: IDBKeyRange | undefined;
  readonly #written: Set<string> = new Set();

  constructor(tx: IDBTransaction, nowMs: number) {
    this.#entries = tx.objectStore(ENTRIES);
    this.#nowMs = nowMs;
  }

  async readMany(keys: readonly string[]): Promise<(Entry<V> | undefined)[]> {
    const found = await readRecords<V>(this.#entries, keys);
    this.#read = { keys: new Set(keys), found };
    return keys.map((key) => this.#live(found.records.get(key)));
  }

  async *scan(range: KeyRange): AsyncGenerator<Entry<V>[]> {
    const size = new PageSize();
    for (let after: string | undefined; ; ) {
      const query = rangeAfter(range, after);
      if (query === undefined) return;
      const page = await readPage<Stored<V>>(
        this.#entries,
        'getAll',
        query,
        Math.min(size.count, range.limit),
        range.reverse,
      );
      const last = page[page.length - 1];
      if (last === undefined && after === undefined) this.#empty = query;
      if (last === undefined) return;
      yield page.map((record) => this.#live(record)).filter((entry) => entry !== undefined);
      after = last.key;
      size.adapt(page);
    }
  }

  /** The records that a page would change; those that it was made from are not read again. */
  async recordsOf(writes: readonly Write<V>[]): Promise<FoundRecords<V>> {
    const read = this.#read;
    this.#read = undefined;
    if (this.#isNew(writes)) return { records: new Map() };
    if (read !== undefined && writes.every(({ key }) => read.keys.has(key))) return read.found;
    return await readRecords<V>(this.#entries, [...new Set(writes.map(({ key }) => key))]);
  }

  #isNew(writes: readonly Write<V>[]): boolean {
    const empty = this.#empty;
    if (empty === undefined) return false;
    const isNew = writes.every(
      ({ key }) => !this.#written.has(key) && empty.includes(encodeKey(key)),
    );
    for (const { key } of writes) this.#written.add(key);
    return isNew;
  }

  #live(record: Stored<V> | undefined): Entry<V> | undefined {
    if (record === undefined || isExpired(record, this.#nowMs)) return undefined;
    const { pos: _, ...entry } = record;
    return entry;
  }
}
