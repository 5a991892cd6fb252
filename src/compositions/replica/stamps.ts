import type { Change, Entry, EntryHead, Json, Meta, Origin } from '../../store/entry.ts';
import type { SetWrite, Write } from '../../store/primitives.ts';

/** Name in a copy's metadata under which it keeps the metadata and origin of the entry itself. */
const WRAPPED = '\u0000replica';
/** Origins that begin so are stamps of a replica's first store. */
const STAMPED = 'replica:';

/** Names the store whose revisions are the order of a replica, in its present epoch. */
export interface Sequence {
  readonly storeId: string;
  epochOf(rev: number): string;
}

/** The write that brings another member what the first store holds. */
export function toCopy<V>(change: Change<V>, sequence: Sequence): Write<V> {
  return change.type === 'delete'
    ? { type: 'delete', key: change.key }
    : copyOf(change, change.value, sequence);
}

/** A member's copy of an entry of the first store, whose stamp becomes its origin. */
export function copyOf<V>(head: EntryHead, value: V, sequence: Sequence): SetWrite<V> {
  const { key, version, rev = 0, modifiedAt, expiresAt, immutable, meta, origin } = head;
  const wraps = origin !== undefined || (meta !== undefined && Object.hasOwn(meta, WRAPPED));
  const kept = frozen(wraps ? { [WRAPPED]: wrap(meta, origin) } : meta);
  const copy: { -readonly [K in keyof SetWrite<V>]: SetWrite<V>[K] } = {
    type: 'set',
    key,
    value,
    modifiedAt,
    origin: { store: STAMPED + sequence.storeId, epoch: sequence.epochOf(rev), rev, version },
  };
  if (expiresAt !== undefined) copy.expiresAt = expiresAt;
  if (immutable) copy.immutable = true;
  if (kept !== undefined) copy.meta = kept;
  return copy;
}

/** Metadata is handed out with every reading of its entry; some stores give it as they have read it. */
function frozen<T extends Json | undefined>(part: T): T {
  if (typeof part !== 'object' || part === null || Object.isFrozen(part)) return part;
  for (const inner of Object.values(part)) frozen(inner as Json);
  return Object.freeze(part);
}

function wrap(meta: Meta | undefined, origin: Origin | undefined): Meta {
  return {
    ...(meta !== undefined && { meta }),
    ...(origin !== undefined && { origin: { ...origin } }),
  };
}

/** The stamp of a copy; `undefined` for an entry that was written past the replica. */
export function stampOf({ origin }: Pick<EntryHead, 'origin'>): Origin | undefined {
  return origin?.store.startsWith(STAMPED) ? origin : undefined;
}

/** Id of the store that gave a stamp. */
export function givenBy({ store }: Origin): string {
  return store.slice(STAMPED.length);
}

/** Whether a stamp was given by this sequence in this epoch. */
export function isStampOf(stamp: Origin, { storeId }: Sequence, epoch: string): boolean {
  return stamp.store === STAMPED + storeId && stamp.epoch === epoch;
}

/** The entry of the first store that a copy stands for. An entry that is no copy stands for itself. */
export function fromCopy<V>(copy: Entry<V>): Entry<V> {
  const stamp = stampOf(copy);
  if (stamp === undefined) return copy;
  const { origin: _, meta, rev: __, ...plain } = copy;
  const kept =
    meta !== undefined && Object.hasOwn(meta, WRAPPED)
      ? (meta[WRAPPED] as { readonly meta?: Meta; readonly origin?: Origin })
      : { meta };
  return {
    ...plain,
    version: stamp.version,
    ...(stamp.rev > 0 && { rev: stamp.rev }),
    ...(kept.meta !== undefined && { meta: kept.meta }),
    ...('origin' in kept && kept.origin !== undefined && { origin: kept.origin }),
  };
}

/** The write that takes a member's entry, of which the first store does not know, into that one. */
export function toAdopted<V>(found: Entry<V>): SetWrite<V> {
  const { key, value, modifiedAt, expiresAt, immutable, meta, origin } = fromCopy(found);
  return {
    type: 'set',
    key,
    value,
    modifiedAt,
    if: 'absent',
    ...(expiresAt !== undefined && { expiresAt }),
    ...(immutable && { immutable }),
    ...(meta !== undefined && { meta }),
    ...(origin !== undefined && { origin }),
  };
}

/** The newest change of each key in a commit, as the first store made it; in the order of the last writes. */
export function changesOf<V>(
  writes: readonly Write<V>[],
  outcomes: readonly { readonly existed: boolean; readonly entry?: EntryHead }[],
  rev: number,
): Map<string, Change<V>> {
  const changes = new Map<string, Change<V>>();
  for (const [at, write] of writes.entries()) {
    const outcome = outcomes[at];
    const { key } = write;
    if (write.type === 'set') {
      // The repetition of an immutable entry changed nothing.
      if (outcome?.entry === undefined || outcome.entry.rev !== rev) continue;
      changes.delete(key);
      changes.set(key, { ...outcome.entry, type: 'set', value: write.value });
    } else if (outcome?.existed) {
      changes.delete(key);
      changes.set(key, { type: 'delete', key, rev });
    }
  }
  return changes;
}
