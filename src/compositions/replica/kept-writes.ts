import type { JournalWrite } from '../../kernel/journal/journal.ts';
import type { Change, Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { copyOf, givenBy, type Sequence, stampOf } from './stamps.ts';

/** A write of the first store, as the journal kept it. */
export interface KeptWrite<V> {
  readonly key: string;
  /** Id and epoch of the store that gave the order, and its revision there. */
  readonly storeId: string;
  readonly epoch: string;
  readonly rev: number;
  /** The member's copy; absent for a delete. */
  readonly copy?: Entry<V>;
  /**
   * For what a member held as an intent: `rev` is the least that the write can have. A set that
   * `keepsImmutable` does nothing where an immutable entry stands.
   */
  readonly intent?: { readonly seq: number; readonly keepsImmutable: boolean };
}

/** A change of the first store as a record of the journal has it: the members' copy, with its stamp. */
export function toKept<V>(
  change: Change<V>,
  sequence: Sequence,
  rev: number,
  nowMs: number,
): JournalWrite<V> {
  const { key } = change;
  if (change.type === 'set') {
    const { if: _, cached: __, ...copy } = copyOf(change, change.value, sequence);
    return { ...copy, version: change.version, modifiedAt: change.modifiedAt };
  }
  const stamp = JSON.stringify([sequence.storeId, sequence.epochOf(rev), rev]);
  return { type: 'delete', key, version: stamp, modifiedAt: nowMs };
}

/** What a record says; `undefined` for what no replica wrote. */
export function fromKept<V>(write: JournalWrite<V>): KeptWrite<V> | undefined {
  const { key } = write;
  if (write.type === 'set') {
    const { type: _, base: __, adopted: ___, ...copy } = write;
    const stamp = stampOf(copy);
    if (stamp === undefined) return undefined;
    const { epoch, rev } = stamp;
    return { key, storeId: givenBy(stamp), epoch, rev, copy };
  }
  const stamp: unknown = JSON.parse(write.version);
  if (!Array.isArray(stamp)) return undefined;
  const [storeId, epoch, rev] = stamp as [string, string, number];
  return { key, storeId, epoch, rev };
}

/** Whether an entry of a member is as new as what was kept of its key, or newer. */
export function isAsNew<V>(held: Entry<V>, { storeId, epoch, rev }: KeptWrite<V>): boolean {
  const stamp = stampOf(held);
  // Written past the replica: nothing is known of its order.
  if (stamp === undefined) return true;
  return givenBy(stamp) === storeId && stamp.epoch === epoch && stamp.rev >= rev;
}

/** Whether nothing of a key is left after a kept write. */
export function isGone<V>({ copy }: KeptWrite<V>, env: Env): boolean {
  return copy === undefined || (copy.expiresAt !== undefined && copy.expiresAt <= env.now());
}
