import type { Entry, Json, Meta, Origin } from '../../../store/entry.ts';
import type { SetWrite } from '../../../store/primitives.ts';

/** Under this and the journal's id an entry with an origin of its own keeps the journal's stamp, in its metadata. */
const STAMP = '\u0000behind/';

/** Names the journal in which a write was acknowledged. */
export interface Author {
  readonly storeId: string;
  readonly epoch: string;
}

/**
 * A pending entry as the back gets it. The journal's stamp is its origin, so that it is shown with
 * the same version and revision as before. A write that brings an origin keeps that, and the stamp
 * goes into the metadata, where it counts for as long as the entry has that very origin: an update
 * of somebody else keeps metadata, but no origin.
 */
export function toBack<V>(entry: Entry<V>, { storeId, epoch }: Author): SetWrite<V> {
  const { key, value, version, rev = 0, modifiedAt, expiresAt, immutable, meta, origin } = entry;
  const own: Origin = { store: storeId, epoch, rev, version };
  const kept =
    origin === undefined ? meta : { ...meta, [STAMP + storeId]: stampOf(own, origin, meta) };
  const write: { -readonly [K in keyof SetWrite<V>]: SetWrite<V>[K] } = {
    type: 'set',
    key,
    value,
    modifiedAt,
    origin: origin ?? own,
  };
  if (expiresAt !== undefined) write.expiresAt = expiresAt;
  if (immutable) write.immutable = true;
  if (kept !== undefined) write.meta = kept;
  return write;
}

/** An entry of the back as this store shows it: with the stamp of its journal, or else without a revision. */
export function fromBack<V>(entry: Entry<V>, storeId: string): Entry<V> {
  const { rev: _backRev, ...rest } = entry;
  const { origin, meta } = entry;
  if (origin === undefined) return entry.rev === undefined ? entry : rest;
  const stamp = readStamp(meta, origin, storeId);
  if (stamp !== undefined) {
    const { meta: stamped, ...plain } = rest;
    const { [STAMP + storeId]: _, ...own } = stamped as Meta;
    const shown = { ...plain, version: stamp.version, rev: stamp.rev };
    return stamp.bare ? shown : { ...shown, meta: own };
  }
  if (origin.store !== storeId) return rest;
  const { origin: _, ...plain } = rest;
  return { ...plain, version: origin.version, rev: origin.rev };
}

/** Whether an entry of the back was written by this journal's store. */
export function isOwn<V>({ origin, meta }: Entry<V>, storeId: string): boolean {
  if (origin === undefined) return false;
  return origin.store === storeId || readStamp(meta, origin, storeId) !== undefined;
}

interface Stamp {
  readonly version: string;
  readonly rev: number;
  /** The entry has no metadata of its own. */
  readonly bare: boolean;
}

function stampOf(own: Origin, origin: Origin, meta: Meta | undefined): Json {
  return { rev: own.rev, version: own.version, of: identity(origin), bare: meta === undefined };
}

function readStamp(meta: Meta | undefined, origin: Origin, storeId: string): Stamp | undefined {
  const name = STAMP + storeId;
  if (meta === undefined || !Object.hasOwn(meta, name)) return undefined;
  const { rev, version, of, bare } = meta[name] as { readonly [name: string]: Json };
  if (typeof rev !== 'number' || typeof version !== 'string' || of !== identity(origin))
    return undefined;
  return { rev, version, bare: bare === true };
}

function identity({ store, epoch, rev, version }: Origin): string {
  return JSON.stringify([store, epoch, rev, version]);
}
