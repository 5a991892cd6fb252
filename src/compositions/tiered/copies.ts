import type { Entry, EntryHead, Meta, Origin } from '../../store/entry.ts';
import type { SetWrite } from '../../store/primitives.ts';

/** Name in the front's metadata under which a copy keeps what the front has no other place for. */
const WRAPPED = '\u0000tiered';
/** The last time that an entry can end. */
const MAX_EXPIRES_AT = 2 ** 48 - 1;

/** How long a copy is good for. */
export interface CopyTimes {
  /** When the read or write of the back began that it comes from, in ms since 1970. */
  readonly readAt: number;
  /** Until when the front keeps it, in ms since 1970. */
  readonly keepUntil: number;
}

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
export function toCopy<V>(
  head: EntryHead,
  value: V,
  source: Source,
  times?: CopyTimes,
): SetWrite<V> {
  const { meta, origin } = head;
  const stamp = stampOf(head, source.id, '');
  if (times !== undefined) return timedCopy(head, value, stamp, times);
  const wraps = origin !== undefined || (meta !== undefined && Object.hasOwn(meta, WRAPPED));
  const kept = wraps ? { [WRAPPED]: wrap(meta, origin) } : meta;
  return copyOf(head, value, stamp, kept);
}

/** A copy that says how old it is, and that the front lets go of in time, its source's expiry or before. */
function timedCopy<V>(
  head: EntryHead,
  value: V,
  stamp: Origin,
  { readAt, keepUntil }: CopyTimes,
): SetWrite<V> {
  const { meta, origin, expiresAt } = head;
  const isCut = keepUntil < (expiresAt ?? MAX_EXPIRES_AT);
  const wrapped = {
    ...wrap(meta, origin),
    readAt,
    ...(isCut && { expiresAt: expiresAt ?? null }),
  };
  const kept = isCut ? { ...head, expiresAt: keepUntil } : head;
  return copyOf(kept, value, stamp, { [WRAPPED]: wrapped });
}

/** A copy for a front that is not asked for the back's version: the entry keeps its own origin. */
export function toPlainCopy<V>(head: EntryHead, value: V, source: Source): SetWrite<V> {
  const { rev, origin, meta } = head;
  const epoch = rev === undefined ? '' : source.epochOf(rev);
  const copy = copyOf(head, value, origin ?? stampOf(head, source.id, epoch), meta);
  return { ...copy, cached: true };
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
  const kept: Wrapped =
    meta !== undefined && Object.hasOwn(meta, WRAPPED) ? unwrap(meta) : { meta };
  if (kept.expiresAt === null) delete plain.expiresAt;
  return {
    ...plain,
    ...(typeof kept.expiresAt === 'number' && { expiresAt: kept.expiresAt }),
    version: stamp.version,
    ...(stamp.rev > 0 && { rev: stamp.rev }),
    ...(kept.meta !== undefined && { meta: kept.meta }),
    ...(kept.origin !== undefined && { origin: kept.origin }),
  };
}

/** When the read of the back began that a copy comes from, in ms since 1970; `undefined` where it does not say. */
export function readAtOf({ meta }: EntryHead): number | undefined {
  return meta !== undefined && Object.hasOwn(meta, WRAPPED) ? unwrap(meta).readAt : undefined;
}

interface Wrapped {
  readonly meta?: Meta | undefined;
  readonly origin?: Origin | undefined;
  readonly readAt?: number;
  /** The end of the source, where the copy's is earlier; `null` where it has none. */
  readonly expiresAt?: number | null;
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
