import type { EntryHead } from '../../store/entry.ts';
import type { WriteIds } from '../../store/version.ts';
import { toFailure } from './failure.ts';
import { type GroupPlan, type Pending, planGroup } from './group-plan.ts';
import { FEW_KEYS, type FoundRecords, readRecords, requestRecords } from './records.ts';
import { isDomException, resultOf, resultsOf } from './requests.ts';
import {
  commitId,
  ENTRIES,
  encodeKey,
  META,
  RUNS,
  readCommitId,
  readState,
  STATE_KEY,
  type State,
  TOMBSTONES,
  tombstoneSize,
} from './schema.ts';

/** Changes issued before the first of them must be answered: bounds what is on its way. */
const WINDOW = 4_096;

/** What a group of commits finds. */
export interface Before<V> extends FoundRecords<V> {
  readonly state: State;
}

export async function readBefore<V>(
  tx: IDBTransaction,
  group: readonly Pending<V>[],
): Promise<Before<V>> {
  const keys = [...new Set(group.flatMap(({ writes }) => writes.map(({ key }) => key)))];
  const entries = tx.objectStore(ENTRIES);
  if (keys.length <= FEW_KEYS) {
    const [state, found] = await Promise.all([
      readState(tx),
      resultsOf(requestRecords<V>(entries, keys)),
    ]);
    const present = found.filter((record) => record !== undefined);
    return { state, records: new Map(present.map((record) => [record.key, record])) };
  }
  const state = await readState(tx);
  // A new store holds nothing, whatever is asked for.
  if (state.rev === 0) return { state, records: new Map() };
  return { state, ...(await readRecords<V>(entries, keys)) };
}

/** By whom and when a group is stored. */
export interface StoredBy {
  readonly run: string;
  readonly relaxed: boolean;
  readonly nowMs: number;
  readonly ids: WriteIds;
}

/** What became of a group. */
export interface StoredGroup<V> {
  readonly state: State;
  readonly plan: Pick<GroupPlan<V>, 'commits' | 'expires' | 'answers'>;
}

/** Plans and stores a group whose writes are all there. */
export async function writeWhole<V>(
  tx: IDBTransaction,
  before: Before<V>,
  group: readonly Pending<V>[],
  by: StoredBy,
): Promise<StoredGroup<V>> {
  const { state, records } = before;
  const plan = planGroup({ group, rev: state.rev, nowMs: by.nowMs, ids: by.ids, records });
  if (plan.commits.length === 0) return { state, plan };
  return { state: await writeGroup(tx, before, plan, by), plan };
}

/** Stores a group that changes something; gives the state after it. */
export async function writeGroup<V>(
  tx: IDBTransaction,
  before: Before<V>,
  plan: GroupPlan<V>,
  by: StoredBy,
): Promise<State> {
  const from = before.state;
  const meta = tx.objectStore(META);
  const entries = tx.objectStore(ENTRIES);
  const tombstones = tx.objectStore(TOMBSTONES);
  if (from.run !== by.run) tx.objectStore(RUNS).put(by.run, from.rev + 1);
  // First, because what is new may stand between deleted keys.
  deleteEntries(entries, before, plan);
  let { tombstoneBytes } = from;
  let issued = 0;
  for (const planned of plan.last.values()) {
    const { key, rev, pos } = planned;
    const bytes = encodeKey(key);
    let request: IDBRequest;
    if (planned.type === 'set') {
      request = putEntry(entries, bytes, { ...planned.head, value: planned.write.value, pos });
      if (from.tombstoneBytes > 0 && !before.records.has(key)) tombstones.delete(bytes);
    } else {
      request = tombstones.put({ key, rev, pos, madeMs: by.nowMs }, bytes);
      tombstoneBytes += tombstoneSize(key);
    }
    if (++issued % WINDOW === 0) await resultOf(request);
  }
  const state: State = {
    ...from,
    rev: plan.rev,
    run: by.run,
    tombstoneBytes,
    ...(by.relaxed && { unsettled: true }),
  };
  meta.put(state, STATE_KEY);
  return state;
}

/** Deletes entries; those that stand next to each other with one request, which costs no more than that of one. */
function deleteEntries<V>(entries: IDBObjectStore, before: Before<V>, plan: GroupPlan<V>): void {
  const { records, neighbours } = before;
  let first: string | undefined;
  let last = '';
  const flush = (): void => {
    if (first === undefined) return;
    const [lower, upper] = [encodeKey(first), encodeKey(last)];
    entries.delete(first === last ? lower : IDBKeyRange.bound(lower, upper));
    first = undefined;
  };
  for (const key of neighbours ?? records.keys()) {
    if (plan.last.get(key)?.type === 'delete') {
      first ??= key;
      last = key;
    } else flush();
    if (neighbours === undefined) flush();
  }
  flush();
}

function putEntry(
  entries: IDBObjectStore,
  bytes: Uint8Array<ArrayBuffer>,
  record: EntryHead & { readonly value: unknown; readonly pos: number },
): IDBRequest {
  try {
    return entries.put(record, bytes);
  } catch (error) {
    // Data that can be cloned but not stored, such as shared memory.
    throw isDomException(error, 'DataCloneError') ? toFailure(error, 'commit', record.key) : error;
  }
}

/** Whether the commit `rev` of a run is part of the store's history. */
export async function isStored(db: IDBDatabase, rev: number, run: string): Promise<boolean> {
  const tx = db.transaction([META, RUNS]);
  const [state, id] = await Promise.all([readState(tx), readCommitId(tx, rev)]);
  return state.rev >= rev && id === commitId(run, rev);
}
