import type { Journal, JournalRecord, JournalWrite } from '../../../kernel/journal/journal.ts';
import { Call } from '../../../store/call.ts';
import type { Entry } from '../../../store/entry.ts';
import type { Env } from '../../../store/env.ts';
import { StrataError } from '../../../store/errors.ts';
import type { WriteIds } from '../../../store/version.ts';
import type { TieredEvent } from '../events.ts';
import type { BackConflict } from '../options.ts';
import { type Base, baseOf, encodeBase } from './base.ts';
import type { BehindFeed } from './behind-feed.ts';
import type { PendingWrite, PendingWrites } from './pending-writes.ts';
import { pastOf } from './recovery.ts';
import type { Sequencer } from './sequencer.ts';
import { isOwn } from './stamps.ts';

/** What happens where somebody else changed a key. */
export type ConflictPolicy<V> =
  | 'overwrite'
  | 'keep-back'
  | ((conflict: BackConflict<V>) => V | undefined);

export interface BackWinsSetup<V> {
  readonly env: Env;
  readonly ids: WriteIds;
  readonly journal: Journal<V>;
  readonly feed: BehindFeed<V>;
  readonly pending: PendingWrites<V>;
  readonly sequencer: Sequencer<V>;
  readonly onConflict: ConflictPolicy<V>;
  shown(entry: Entry<V>): Entry<V>;
  give(entry: Entry<V>): Entry<V>;
  own(value: V): V;
  /** The front's copy of a key is not what the back holds. */
  uncopy(keys: readonly string[]): void;
  /** A commit of the store's own is pending from now on, instead of a write. */
  took(record: JournalRecord<V>, instead: PendingWrite<V>): void;
  settle(write: PendingWrite<V>, base: Base): void;
  onFlushed(): void;
  onEvent(event: TieredEvent): void;
}

/**
 * Pending writes that the back does not get as they are: it refuses them, or holds what somebody else
 * wrote. What counts instead is told as a commit of this store, so that who follows it knows.
 */
export class BackWins<V> {
  readonly #setup: BackWinsSetup<V>;

  constructor(setup: BackWinsSetup<V>) {
    this.#setup = setup;
  }

  /** Only its owner can write to the journal. */
  async checkOwner(): Promise<void> {
    const { sequencer, pending, feed, journal } = this.#setup;
    const noted = (record: JournalRecord<V> | undefined): void => {
      if (record === undefined) return;
      pending.add(record.seq, [], record.bytes);
      feed.add(pastOf(record, journal.epoch));
    };
    await ofJournal(async () => sequencer.record(() => [], noted));
  }

  /** Keeps a write among the dead letters, and lets the back's entry count instead. */
  async bury(write: PendingWrite<V>, now: Entry<V> | undefined, cause: StrataError): Promise<void> {
    const { env, journal, onEvent } = this.#setup;
    await ofJournal(async () => journal.bury(write.write, cause, Call.background(env, 'flush')));
    await this.#adopt(write, now);
    onEvent({ type: 'dead-letter', key: write.key, cause });
  }

  /** Does with a write that met a change of somebody else what the policy says. */
  async resolve(write: PendingWrite<V>, now: Entry<V> | undefined): Promise<'send' | 'settled'> {
    const { onConflict, onEvent } = this.#setup;
    const { key } = write;
    if (onConflict === 'overwrite') return 'send';
    if (onConflict === 'keep-back') {
      await this.#adopt(write, now);
      onEvent({ type: 'back-conflict', key, kept: 'back' });
      return 'settled';
    }
    const settled = await this.#merge(write, now, onConflict);
    onEvent({ type: 'back-conflict', key, kept: 'merged' });
    return settled;
  }

  /** What stands in the back counts instead of a pending write: told as a commit, and written nowhere. */
  async #adopt(write: PendingWrite<V>, now: Entry<V> | undefined): Promise<void> {
    const { env, journal, feed, ids, sequencer, pending, shown, uncopy, settle, onFlushed } =
      this.#setup;
    const { key } = write;
    const base = baseOf(now, now !== undefined && isOwn(now, journal.storeId));
    const stands = (): JournalWrite<V>[] | undefined => {
      // A newer write of the key is compared with the back in its turn.
      if (pending.get(key) !== write) return undefined;
      const known = encodeBase(base);
      const stamp = { adopted: true, ...(known !== undefined && { base: known }) } as const;
      if (now === undefined) {
        const version = ids.text(ids.next());
        return [{ type: 'delete', key, version, modifiedAt: env.now(), ...stamp }];
      }
      const { rev: _, stale: __, ...entry } = shown(now);
      return [{ type: 'set', ...entry, ...stamp }];
    };
    const done = (record: JournalRecord<V> | undefined): void => {
      if (record !== undefined) {
        pending.add(record.seq, [], record.bytes, [key]);
        feed.add(pastOf(record, journal.epoch));
      }
      uncopy([key]);
      settle(write, write.base);
      onFlushed();
    };
    await ofJournal(async () => sequencer.record(stands, done));
  }

  /** Asks the application what is to be written; that is a commit of its own, which takes the place of the pending one. */
  async #merge(
    write: PendingWrite<V>,
    now: Entry<V> | undefined,
    merge: (conflict: BackConflict<V>) => V | undefined,
  ): Promise<'send' | 'settled'> {
    const { journal, give, own, env, ids, shown, sequencer, pending, settle, took } = this.#setup;
    const { key } = write;
    const entry = liveAt(write.entry, env.now());
    const base = baseOf(now, now !== undefined && isOwn(now, journal.storeId));
    const value = merge({ key, pending: entry && give(entry), back: now && give(shown(now)) });
    if (value === undefined && entry === undefined) {
      write.base = base;
      return 'send';
    }
    const known = encodeBase(base);
    const merged = (): JournalWrite<V>[] | undefined => {
      // A newer write of the key is compared with the back in its turn.
      if (pending.get(key) !== write) return undefined;
      const stamp = {
        key,
        version: ids.text(ids.next()),
        modifiedAt: env.now(),
        ...(known !== undefined && { base: known }),
      };
      if (value === undefined) return [{ type: 'delete', ...stamp }];
      return [{ type: 'set', ...stamp, ...keptOf(entry ?? now), value: own(value) }];
    };
    const done = (record: JournalRecord<V> | undefined): void => {
      if (record !== undefined) took(record, write);
      settle(write, record === undefined ? write.base : base);
    };
    await ofJournal(async () => sequencer.record(merged, done));
    return 'settled';
  }
}

/** An entry, unless it has ended. */
function liveAt<V>(entry: Entry<V> | undefined, nowMs: number): Entry<V> | undefined {
  return entry?.expiresAt !== undefined && entry.expiresAt <= nowMs ? undefined : entry;
}

/** What an entry keeps when its value is replaced. */
function keptOf<V>(entry: Entry<V> | undefined): Pick<Entry<V>, 'expiresAt' | 'meta'> {
  const { expiresAt, meta } = entry ?? {};
  return { ...(expiresAt !== undefined && { expiresAt }), ...(meta !== undefined && { meta }) };
}

/** A failure of the journal says nothing of what is being flushed: it is tried again later. */
async function ofJournal(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StrataError('unavailable', `flush: the journal fails: ${why}`, {
      operation: 'flush',
      cause,
    });
  }
}
