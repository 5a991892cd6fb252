import { sameBytes } from '../../store/clone.ts';
import type { EntryHead } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { Envelope, type EnvelopeStamp, stampEnvelope } from '../../store/feed/envelope.ts';
import { type Planned, planCommit, type Standing } from '../../store/feed/plan.ts';
import { WriteIds } from '../../store/version.ts';
import { ENVELOPES } from './envelope-io.ts';
import type { Group, KeyState, Member, Trace } from './group.ts';
import type { KnownKeys } from './known-keys.ts';
import type { PendingCommit, PreparedSet } from './pending.ts';
import { isExpired, type Reader } from './reader.ts';

/** What stands under a key, and what of it a change must clear away. */
interface Stand extends Standing<Uint8Array> {
  readonly trace: Trace | undefined;
}

/** For a commit that asks nothing of what it replaces: there is something. */
const SOMETHING: EntryHead = Object.freeze({ key: '', version: '', modifiedAt: 0 });

/** Plans commits upon the tables as the reader sees them and upon what is known to be on its way there. */
export class Planner {
  readonly #reader: Reader;
  readonly #ids: WriteIds;
  readonly #stamp: { -readonly [K in keyof EnvelopeStamp]: EnvelopeStamp[K] };
  #writeId = 0;

  constructor(reader: Reader, env: Env) {
    this.#reader = reader;
    this.#ids = new WriteIds(env);
    const writeId = (into: Uint8Array, offset: number): void =>
      this.#ids.write(this.#writeId, into, offset);
    this.#stamp = { rev: 0, pos: 0, modifiedAt: 0, writeId };
  }

  /** Plans a commit as the next of a group and gives it to the tables; a failure leaves nothing behind. */
  plan(pending: PendingCommit, group: Group, known: KnownKeys): Member {
    const { operation, writes } = pending;
    const nowMs = this.#reader.nowMs();
    const plan = planCommit<Uint8Array>({
      operation,
      writes,
      rev: group.rev + 1,
      nowMs,
      ids: this.#ids,
      standing: (key) => this.#standing(key, pending, nowMs, group, known),
    });
    const { rev, outcomes } = plan;
    if (rev === undefined) return { pending, outcome: { outcomes }, states: [], entries: [] };
    pending.call?.markSent();
    group.rev = rev;
    const states: KeyState[] = [];
    const entries: (Uint8Array | undefined)[] = [];
    for (const planned of plan.changes) {
      const entry = this.#stamped(planned);
      const state = toState(planned);
      group.write(state, entry, (planned.replaces as Stand | undefined)?.trace);
      known.set(state);
      states.push(state);
      entries.push(entry);
    }
    return { pending, outcome: { rev, outcomes }, states, entries };
  }

  #stamped(planned: Planned<Uint8Array>): Uint8Array | undefined {
    if (planned.type === 'delete') return undefined;
    const { entry } = planned.write as PreparedSet;
    const stamp = this.#stamp;
    stamp.rev = planned.rev;
    stamp.pos = planned.pos;
    stamp.modifiedAt = planned.head.modifiedAt;
    this.#writeId = planned.writeId;
    stampEnvelope(ENVELOPES, entry, stamp);
    return entry;
  }

  #standing(
    key: string,
    pending: PendingCommit,
    nowMs: number,
    group: Group,
    known: KnownKeys,
  ): Stand | undefined {
    const state = known.get(key);
    if (state?.forgotten) return undefined;
    if (state !== undefined) return this.#fromState(state, pending, nowMs);
    const stored = this.#reader.stored(key);
    if (stored !== undefined) return fromTables(key, stored, pending, nowMs);
    // Nothing is deleted anywhere as long as nothing is remembered of deletes.
    if (group.base.tombstoneBytes === 0) return undefined;
    const place = this.#reader.deleted(key);
    return place && { ...place, trace: { ...place, deleted: true, expiresAt: undefined } };
  }

  #fromState(state: KeyState, { conditional }: PendingCommit, nowMs: number): Stand {
    const { key, rev, pos, deleted, expiresAt, immutable } = state;
    const trace: Trace = { rev, pos, deleted, expiresAt };
    if (deleted || (expiresAt !== undefined && expiresAt <= nowMs)) return { rev, pos, trace };
    if (!conditional && !immutable) return { rev, pos, live: SOMETHING, trace };
    const stored = state.landed ? this.#reader.envelope(key) : undefined;
    const live = state.head ?? stored?.head() ?? SOMETHING;
    if (!immutable) return { rev, pos, live, trace };
    const value = state.value ?? stored?.value.slice();
    const sameValue = (other: Uint8Array): boolean =>
      value !== undefined && sameBytes(value, other);
    return { rev, pos, live, sameValue, trace };
  }
}

function toState(planned: Planned<Uint8Array>): KeyState {
  const { key, rev, pos } = planned;
  const deleted = planned.type === 'delete';
  const head = deleted ? undefined : planned.head;
  const immutable = head?.immutable === true;
  return {
    key,
    rev,
    pos,
    deleted,
    expiresAt: head?.expiresAt,
    immutable,
    landed: false,
    head,
    value: immutable && !deleted ? planned.write.value : undefined,
  };
}

function fromTables(
  key: string,
  stored: Uint8Array,
  { writes, conditional }: PendingCommit,
  nowMs: number,
): Stand {
  let envelope: Envelope;
  try {
    envelope = new Envelope(ENVELOPES, key, stored);
  } catch (error) {
    // A damaged entry can be replaced or removed, but nothing can be said of its version or place.
    if (writes.some((write) => write.key === key && write.if !== undefined)) throw error;
    return { rev: 0, pos: 0, live: SOMETHING, trace: undefined };
  }
  const { rev, pos, expiresAt } = envelope;
  const trace: Trace = { rev, pos, deleted: false, expiresAt };
  if (isExpired(envelope, nowMs)) return { rev, pos, trace };
  if (!envelope.immutable)
    return { rev, pos, live: conditional ? envelope.head() : SOMETHING, trace };
  // The bytes are a view that the next read overwrites.
  const value = envelope.value.slice();
  const sameValue = (other: Uint8Array): boolean => sameBytes(value, other);
  return { rev, pos, live: envelope.head(), sameValue, trace };
}
