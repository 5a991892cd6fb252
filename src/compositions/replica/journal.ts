import { chain } from '../../kernel/awaitable.ts';
import type { Journal, JournalRecord } from '../../kernel/journal/journal.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Codec } from '../../store/codec.ts';
import type { Entry } from '../../store/entry.ts';
import type { Env, Timer } from '../../store/env.ts';
import { failure, type StrataError } from '../../store/errors.ts';
import type { Primitives } from '../../store/primitives.ts';
import { fromKept, isAsNew, isGone, type KeptWrite, toKept } from './kept-writes.ts';
import type { Lane } from './lane.ts';
import type { Mark } from './member.ts';
import { Room } from './room.ts';
import type { Sequence } from './stamps.ts';
import type { Told } from './told.ts';
import type { Waiter } from './waiters.ts';

/** How long the owner of a journal may be silent before another may take it over. */
const LEASE_MS = 3_000;
/** Longest try to open it: the silence of a dead owner, and reading. */
const OPEN_MS = 30_000;
/** What is needed no longer goes with the next write, or after so long. */
const DROP_AFTER_MS = 1_000;
/** A record without values. */
const RECORD_BYTES = 128;

export interface ReplicaJournalSetup<V> {
  readonly store: Primitives<unknown>;
  readonly codec: Codec<V> | undefined;
  readonly env: Env;
  readonly maxBytes: number;
  /** Gives the stamps. */
  readonly first: Sequence;
  /** Those that bring the asynchronous members what is kept here. */
  readonly lanes: () => readonly Lane<V>[];
  /** Nothing can be kept any more. */
  onLost(cause: StrataError): void;
  onDamaged(record: string, cause: StrataError): void;
}

interface Pending {
  readonly seq: number;
  readonly keys: readonly string[];
  readonly bytes: number;
  /** What waits for it, of the lanes in turn; absent for what was there at the opening. */
  told?: readonly (Waiter | undefined)[];
}

/**
 * Keeps every write until all asynchronous members have it: so none is lost with a first store that
 * loses its data. Records go in the order in which they came.
 */
export class ReplicaJournal<V> {
  readonly room: Room;
  readonly #setup: ReplicaJournalSetup<V>;
  #journal: Journal<V> | undefined;
  #isOpen = false;
  /** Everything that some member may lack, oldest first. */
  #pending: Pending[] = [];
  /** Of each key the newest of these, and in which record it stands. */
  readonly #newest = new Map<string, { readonly seq: number; readonly kept: KeptWrite<V> }>();
  #bytes = 0;
  /** Records that are needed no longer. */
  #done: number[] = [];
  #timer: Timer | undefined;
  /** How often each lane had been live at the opening. */
  #timesLive: readonly number[] = [];
  #isClosing = false;
  /** How often the first store lost data. */
  #losses = 0;

  constructor(setup: ReplicaJournalSetup<V>) {
    this.#setup = setup;
    const most = { entries: Number.POSITIVE_INFINITY, bytes: setup.maxBytes };
    this.room = new Room(most, () => this.load);
  }

  /** Names the journal; empty until it is open. */
  get id(): string {
    return this.#isOpen ? (this.#journal?.storeId ?? '') : '';
  }

  get load(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#pending.length, bytes: this.#bytes };
  }

  /** Whether it has ever kept anything. */
  get wasUsed(): boolean {
    return this.#isOpen && (this.#journal?.lastSeq ?? 0) > 0;
  }

  /** Takes ownership; waits until a dead owner has been silent for 3 s. Errors: `conflict` while another has it. */
  async open(life: Call): Promise<void> {
    if (this.#isOpen) return;
    const { store, codec, env, onLost, onDamaged } = this.#setup;
    if (this.#journal === undefined) {
      const { storeJournal } = await import('../../kernel/journal/store-journal.ts');
      const owner = env.process ?? 'another process';
      const name = 'replica';
      const options = { store, codec, env, leaseMs: LEASE_MS, owner, name, onLost, onDamaged };
      this.#journal = storeJournal<V>(options);
    }
    const call = new Call(env, 'open', undefined, { timeoutMs: OPEN_MS });
    const forget = life.onEnd(() => call.end('closed'));
    try {
      const records = await call.guard(this.#journal.open(call));
      this.#isOpen = true;
      for (const record of records) this.#add(record);
    } finally {
      forget();
    }
  }

  /** The first store has lost data: what is being kept may be in no member, and too late for the rebuilding. */
  rewound(): void {
    this.#losses++;
  }

  /** The first store was opened: what is kept now is in every member as soon as it was brought up to date again. */
  begin(): void {
    this.#timesLive = this.#setup.lanes().map(({ timesLive }) => timesLive);
    for (const pending of this.#pending) delete pending.told;
  }

  /** Of each key the newest that some member may lack. */
  newest(): Map<string, KeptWrite<V>> {
    return new Map(Array.from(this.#newest, ([key, { kept }]) => [key, kept]));
  }

  /** Whether a member with this mark still holds what is known here to be deleted. */
  wasDeleted(held: Entry<V>, mark: Mark | undefined): boolean {
    const kept = this.#newest.get(held.key)?.kept;
    // Brought up to date without this journal, it may have what is newer.
    if (kept === undefined || mark?.journal !== this.id) return false;
    return isGone(kept, this.#setup.env) && !isAsNew(held, kept);
  }

  /** Keeps what a commit of the first store did. Settles when it is kept. */
  keep({ rev, changes, async: told }: Told<V>, operation: string): Awaitable<void> {
    if (changes.size === 0) return;
    const { env, first } = this.#setup;
    const kept = [...changes.values()].map((change) => toKept(change, first, rev, env.now()));
    const drop = this.#done;
    this.#done = [];
    const giveBack = (): void => {
      this.#done = [...drop, ...this.#done];
    };
    try {
      const call = Call.background(env, operation);
      const appended = this.#opened(operation).append([kept], drop, call);
      if (appended instanceof Promise) appended.catch(giveBack);
      const losses = this.#losses;
      return chain(appended, ([record]) => {
        if (record !== undefined) this.#add(record, told);
        this.sweep();
        if (losses !== this.#losses)
          throw failure('unavailable', operation, 'the first store has lost data meanwhile');
      });
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  /** Forgets what all asynchronous members have by now. */
  sweep(): void {
    if (this.#isClosing || this.#pending.length === 0) return;
    const lanes = this.#setup.lanes();
    let over = 0;
    for (const pending of this.#pending) {
      if (!this.#isEverywhere(pending, lanes)) break;
      this.#forget(pending);
      over++;
    }
    if (over === 0) return;
    this.#pending = this.#pending.slice(over);
    this.room.admit();
    this.#timer ??= this.#setup.env.setTimer(() => this.#dropLater(), DROP_AFTER_MS, {
      background: true,
    });
  }

  /** From here on nothing is forgotten any more. */
  freeze(): void {
    this.sweep();
    this.#isClosing = true;
  }

  /** Gives ownership up. What some member lacks stays. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    if (this.#isOpen) await this.#drop();
    await this.#journal?.close();
  }

  #opened(operation: string): Journal<V> {
    if (this.#journal === undefined) throw new Error(`${operation} before the journal was opened`);
    return this.#journal;
  }

  #add({ seq, writes, bytes: size }: JournalRecord<V>, told?: Pending['told']): void {
    const bytes = size + RECORD_BYTES;
    const keys = writes.map(({ key }) => key);
    this.#pending.push({ seq, keys, bytes, ...(told && { told }) });
    this.#bytes += bytes;
    for (const write of writes) {
      const kept = fromKept(write);
      if (kept !== undefined) this.#newest.set(kept.key, { seq, kept });
    }
  }

  #forget({ seq, keys, bytes }: Pending): void {
    this.#bytes -= bytes;
    this.#done.push(seq);
    for (const key of keys) if (this.#newest.get(key)?.seq === seq) this.#newest.delete(key);
  }

  #isEverywhere({ told }: Pending, lanes: readonly Lane<V>[]): boolean {
    return lanes.every((lane, at) =>
      told === undefined ? lane.timesLive > (this.#timesLive[at] ?? 0) : lane.has(told[at]),
    );
  }

  #dropLater(): void {
    this.#timer = undefined;
    void this.#drop();
  }

  /** Never fails: what is there too long is brought once more, which changes nothing. */
  async #drop(): Promise<void> {
    const drop = this.#done;
    this.#done = [];
    if (drop.length === 0) return;
    const { env } = this.#setup;
    const call = new Call(env, 'drop', undefined, { timeoutMs: LEASE_MS });
    try {
      await call.guard(Promise.resolve(this.#opened('drop').drop(drop, call)));
    } catch {
      this.#done = [...drop, ...this.#done];
    }
  }
}
