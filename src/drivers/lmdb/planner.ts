import { sameBytes } from '../../store/clone.ts';
import type { EntryHead } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { Envelope, encodeEnvelope } from '../../store/feed/envelope.ts';
import { type Planned, planCommit, type Standing } from '../../store/feed/plan.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';
import { WriteIds } from '../../store/version.ts';
import { type Change, type Group, type Trace, valueIn } from './group.ts';
import type { PendingCommit } from './pending.ts';
import { ENVELOPES, isExpired, type Reader } from './reader.ts';

/** The latest planned change of each key that is not in the tables for certain. */
export type Overlay = Map<string, Change>;

/** What stands under a key, and what of it a change must clear away. */
interface Stand extends Standing<Uint8Array> {
  readonly trace: Trace | undefined;
  /** Planned in the same group. */
  readonly former: Change | undefined;
}

export interface PlannedCommit {
  readonly outcome: CommitOutcome;
  readonly changes: readonly Change[];
}

/** Plans commits upon the tables as the reader sees them and upon the plans before, and encodes their entries. */
export class Planner {
  readonly #reader: Reader;
  readonly #ids: WriteIds;

  constructor(reader: Reader, env: Env) {
    this.#reader = reader;
    this.#ids = new WriteIds(env);
  }

  /** Plans a commit as the next of a group, and enters it in the overlay; a failure leaves nothing behind. */
  plan({ operation, writes }: PendingCommit, group: Group, overlay: Overlay): PlannedCommit {
    const nowMs = this.#reader.nowMs();
    const plan = planCommit<Uint8Array>({
      operation,
      writes,
      rev: group.rev + 1,
      nowMs,
      ids: this.#ids,
      standing: (key) => this.#standing(key, writes, nowMs, group, overlay),
    });
    const { rev, outcomes } = plan;
    if (rev === undefined) return { outcome: { outcomes }, changes: [] };
    const changes = plan.changes.map((planned) => this.#toChange(planned, group));
    for (const [at, change] of changes.entries()) {
      const stand = plan.changes[at]?.replaces as Stand | undefined;
      if (stand?.former !== undefined) stand.former.superseded = true;
      overlay.set(change.key, change);
    }
    group.rev = rev;
    return { outcome: { rev, outcomes }, changes };
  }

  #toChange(planned: Planned<Uint8Array>, group: Group): Change {
    const { key, rev, pos } = planned;
    const trace = (planned.replaces as Stand | undefined)?.trace;
    const common = { key, rev, pos, trace, group, swept: false, superseded: false };
    if (planned.type === 'delete') return { ...common, set: undefined };
    const { write, head, writeId } = planned;
    const envelope = encodeEnvelope(
      ENVELOPES,
      {
        rev,
        pos,
        modifiedAt: head.modifiedAt,
        expiresAt: head.expiresAt,
        immutable: head.immutable,
        meta: head.meta,
        origin: head.origin,
        writeId: (into, offset) => this.#ids.write(writeId, into, offset),
      },
      write.value,
    ) as Buffer;
    group.bytes += envelope.length;
    return { ...common, set: { write, head, envelope } };
  }

  #standing(
    key: string,
    writes: readonly Write<Uint8Array>[],
    nowMs: number,
    group: Group,
    overlay: Overlay,
  ): Stand | undefined {
    const planned = overlay.get(key);
    if (planned !== undefined) return toStand(planned, group, nowMs);
    const stored = this.#reader.stored(key);
    if (stored !== undefined) return this.#fromTables(key, stored, writes, nowMs);
    // Nothing is deleted anywhere as long as nothing is remembered of deletes.
    if (group.base.tombstoneBytes === 0) return undefined;
    const place = this.#reader.deleted(key);
    if (place === undefined) return undefined;
    const trace: Trace = { ...place, deleted: true, expiresAt: undefined };
    return { ...place, trace, former: undefined };
  }

  #fromTables(
    key: string,
    stored: Uint8Array,
    writes: readonly Write<Uint8Array>[],
    nowMs: number,
  ): Stand {
    let envelope: Envelope;
    try {
      envelope = new Envelope(ENVELOPES, key, stored);
    } catch (error) {
      // A damaged entry can be replaced or removed, but nothing can be said of its version or place.
      if (writes.some((write) => write.key === key && write.if !== undefined)) throw error;
      const live: EntryHead = { key, version: '', rev: 0, modifiedAt: 0 };
      return { rev: 0, pos: 0, live, trace: undefined, former: undefined };
    }
    const { rev, pos, expiresAt } = envelope;
    const trace: Trace = { rev, pos, deleted: false, expiresAt };
    if (isExpired(envelope, nowMs)) return { rev, pos, trace, former: undefined };
    const live = envelope.head();
    if (!envelope.immutable) return { rev, pos, live, trace, former: undefined };
    // The view is overwritten by the next read.
    const value = envelope.value.slice();
    const sameValue = (other: Uint8Array): boolean => sameBytes(value, other);
    return { rev, pos, live, sameValue, trace, former: undefined };
  }
}

/** A change that is planned, as what a later one finds. */
function toStand(change: Change, group: Group, nowMs: number): Stand {
  const { rev, pos, set, swept } = change;
  const sameGroup = change.group === group && !swept;
  const head = set?.head;
  const trace: Trace | undefined = sameGroup
    ? change.trace
    : { rev, pos, deleted: set === undefined, expiresAt: head?.expiresAt };
  const former = sameGroup ? change : undefined;
  if (set === undefined || head === undefined) return { rev, pos, trace, former };
  if (head.expiresAt !== undefined && head.expiresAt <= nowMs) return { rev, pos, trace, former };
  if (head.immutable !== true) return { rev, pos, live: head, trace, former };
  const value = valueIn(set);
  return { rev, pos, live: head, sameValue: (other) => sameBytes(value, other), trace, former };
}
