import type { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { isStrataError, type StrataError } from '../../store/errors.ts';
import type { Write } from '../../store/primitives.ts';
import { randomId } from '../../store/version.ts';
import type { JournalStore } from './journal-store.ts';
import type { JournalKeys } from './keys.ts';
import { within } from './patience.ts';
import { type Damaged, readRecords } from './read-records.ts';
import { type Found, nameWrite, type RecordName } from './records.ts';
import type { SureCommits } from './sure-commits.ts';

/** What a journal notes of itself. */
interface StateNote {
  readonly storeId: string;
  readonly epoch: string;
  /** Epoch of the store that keeps the journal; absent where that has none. */
  readonly storeEpoch?: string;
  /** Damaged records that stay where they are, since the store cannot read them. */
  readonly unreadable: readonly number[];
}

const isStateNote = ({ storeId, epoch, unreadable }: Partial<StateNote>): boolean =>
  typeof storeId === 'string' && typeof epoch === 'string' && Array.isArray(unreadable);

export interface RecoverOptions<V> {
  readonly store: JournalStore<V>;
  readonly keys: JournalKeys;
  readonly env: Env;
  readonly commits: SureCommits;
  readonly onDamaged: (record: string, error: StrataError) => void;
}

export interface Recovered<V> {
  readonly storeId: string;
  readonly epoch: string;
  readonly lastSeq: number;
  readonly lastId: string;
  /** In order; those included of which only the name is left. */
  readonly found: readonly Found<V>[];
}

/**
 * Reads what stands in a journal that is owned. Sets aside what is damaged, and begins a new epoch
 * where something may be missing. Where it fails half-way it is done anew.
 */
export async function recover<V>(options: RecoverOptions<V>, call: Call): Promise<Recovered<V>> {
  const { store, keys, env, commits, onDamaged } = options;
  const state = await readState(options, call);
  const storeEpoch = await readStoreEpoch(store, call);
  const { found, damaged, lastSeq } = await readRecords(store, keys, call);
  const newlyDamaged = damaged.filter(({ seq }) => state?.unreadable.includes(seq) !== true);
  const last = found.at(-1);
  if (state !== undefined && state.storeEpoch === storeEpoch && newlyDamaged.length === 0) {
    const { storeId, epoch } = state;
    return { storeId, epoch, lastSeq, lastId: last?.id ?? '', found };
  }
  const note: StateNote = {
    storeId: state?.storeId ?? randomId(env),
    epoch: randomId(env),
    ...(storeEpoch !== undefined && { storeEpoch }),
    unreadable: damaged.flatMap(({ seq, entries }) => (entries === undefined ? [seq] : [])),
  };
  const writes = [store.writeNote(keys.state, note)];
  // A place of the new epoch, that no reader of the old one has been at.
  const name: RecordName = { seq: lastSeq + 1, id: randomId(env), epoch: note.epoch };
  const placed = lastSeq > 0;
  if (placed) writes.push(nameWrite(store, keys, name));
  await within(call, commits.run(writes, undefined, call));
  for (const one of newlyDamaged) {
    await setAside(options, one, call);
    onDamaged(String(one.seq), one.error);
  }
  const { storeId, epoch } = note;
  if (!placed) return { storeId, epoch, lastSeq: 0, lastId: '', found };
  const left: Found<V> = { ...name, writes: [], bytes: 0, dropped: true, parts: 1 };
  return { storeId, epoch, lastSeq: name.seq, lastId: name.id, found: [...found, left] };
}

/** A note that cannot be read counts as missing. */
async function readState<V>(
  { store, keys }: RecoverOptions<V>,
  call: Call,
): Promise<StateNote | undefined> {
  try {
    return (await store.readNote<StateNote>(keys.state, isStateNote, call))?.note;
  } catch (error) {
    if (!isStrataError(error, 'corrupt')) throw error;
    return undefined;
  }
}

async function readStoreEpoch(
  { primitives: { capabilities, feed } }: JournalStore<unknown>,
  call: Call,
): Promise<string | undefined> {
  if (feed === undefined || !capabilities.feed) return undefined;
  return (await within(call, feed.state(call))).head.epoch;
}

/** Moves a damaged record out of the way, where it can be read at all. */
async function setAside<V>(
  { keys, commits }: RecoverOptions<V>,
  { entries }: Damaged,
  call: Call,
): Promise<void> {
  if (entries === undefined) return;
  const writes = entries.flatMap(([key, value]): Write<unknown>[] => [
    { type: 'set', key: keys.damaged + key.slice(keys.records.length), value },
    { type: 'delete', key },
  ]);
  await within(call, commits.run(writes, undefined, call));
}
