import type { Entry, EntryHead, Meta, Origin } from '../../store/entry.ts';
import type { SetWrite } from '../../store/primitives.ts';

/** Name in the front's metadata under which a copy keeps what the front has no other place for. */
const WRAPPED = '\u0000tiered';

/** Names the store that entries are copied from. */
export interface Source {
  readonly id: string;
  epochOf(rev: number): string;
}

/**
 * The front's copy of an entry of the back. The back's stamp stands in `origin`; an origin that the
 * entry itself has goes into the metadata, from where `fromCopy` takes it again. Without the epoch,
 * which costs some stores a read: nobody sees this stamp.
 */
export function toCopy<V>(head: EntryHead, value: V, source: Source): SetWrite<V> {
  const { meta, origin } = head;
  const wraps = origin !== undefined || (meta !== undefined && Object.hasOwn(meta, WRAPPED));
  const kept = wraps ? { [WRAPPED]: wrap(meta, origin) } : meta;
  return copyOf(head, value, stampOf(head, source.id, ''), kept);
}

/** A copy for a front that is not asked for the back's version: the entry keeps its own origin. */
export function toPlainCopy<V>(head: EntryHead, value: V, source: Source): SetWrite<V> {
  const { rev, origin, meta } = head;
  const epoch = rev === undefined ? '' : source.epochOf(rev);
  return copyOf(head, value, origin ?? stampOf(head, source.id, epoch), meta);
}

function stampOf({ version, rev }: EntryHead, store: string, epoch: string): Origin {
  return { store, epoch, rev: rev ?? 0, version };
}

/** Built member by member: this runs at every write and every miss. */
function copyOf<V>(
  { key, modifiedAt, expiresAt, immutable }: EntryHead,
  value: V,
  origin: Origin,
  meta: Meta | undefined,
): SetWrite<V> {
  const copy: { -readonly [K in keyof SetWrite<V>]: SetWrite<V>[K] } = {
    type: 'set',
    key,
    value,
    modifiedAt,
    origin,
  };
  if (expiresAt !== undefined) copy.expiresAt = expiresAt;
  if (immutable) copy.immutable = true;
  if (meta !== undefined) copy.meta = meta;
  return copy;
}

/** The entry of the back that a copy stands for. An entry that is no copy stands for itself. */
export function fromCopy<V>(copy: Entry<V>): Entry<V> {
  const { origin: stamp, meta, ...rest } = copy;
  if (stamp === undefined) return copy;
  const { rev: ownRev, ...plain } = rest;
  const kept = meta !== undefined && Object.hasOwn(meta, WRAPPED) ? unwrap(meta) : { meta };
  return {
    ...plain,
    version: stamp.version,
    ...(stamp.rev > 0 && { rev: stamp.rev }),
    ...(kept.meta !== undefined && { meta: kept.meta }),
    ...(kept.origin !== undefined && { origin: kept.origin }),
  };
}

interface Wrapped {
  readonly meta?: Meta | undefined;
  readonly origin?: Origin | undefined;
}

function wrap(meta: Meta | undefined, origin: Origin | undefined): Meta {
  return {
    ...(meta !== undefined && { meta }),
    ...(origin !== undefined && { origin: { ...origin } }),
  };
}

function unwrap(meta: Meta): Wrapped {
  return meta[WRAPPED] as Wrapped;
}
