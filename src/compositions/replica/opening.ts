import { Call } from '../../store/call.ts';
import type { Timer } from '../../store/env.ts';
import { failure, StrataError } from '../../store/errors.ts';
import type { Position, Write } from '../../store/primitives.ts';
import { Better } from './better.ts';
import { ALL_KEYS, adopt } from './compare.ts';
import type { ReplicaEvent } from './events.ts';
import type { FirstStore } from './first-store.ts';
import { newerOf, replayIntents } from './intent-replay.ts';
import { joinEntries } from './join-entries.ts';
import type { ReplicaJournal } from './journal.ts';
import type { KeptWrite } from './kept-writes.ts';
import { asStrataError, type Mark, type Member } from './member.ts';

/** So many entries are taken into the first store at once. */
const ADOPTED_AT_ONCE = 256;

export interface OpeningSetup<V> {
  readonly first: FirstStore<V>;
  /** The other synchronous members. */
  readonly sync: readonly Member<V>[];
  readonly async: readonly Member<V>[];
  readonly journal: ReplicaJournal<V> | undefined;
  /** How many of `sync` have each write that was acknowledged. */
  readonly needed: number;
  readonly retry: { readonly minMs: number; readonly maxMs: number };
  onEvent(event: ReplicaEvent): void;
  /** The first store is sound, and counts. */
  onOpen(): void;
}

/**
 * Finds out whether the first store still has what it had: by a note that it keeps, and its epoch.
 * One that has not, or is new, first gets what the other members have; until then it is not read.
 */
export class Opening<V> {
  readonly #setup: OpeningSetup<V>;
  readonly #life: Call;
  #isOpen = false;
  #opening: Promise<void> | undefined;
  #failed: StrataError | undefined;
  #timer: Timer | undefined;
  #tries = 0;

  constructor(setup: OpeningSetup<V>) {
    this.#setup = setup;
    this.#life = Call.background(setup.first.member.env, 'open');
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Why it is not open, once a try has failed. */
  get failed(): StrataError | undefined {
    return this.#isOpen ? undefined : this.#failed;
  }

  /** Begins, or begins anew. */
  begin(): void {
    this.#isOpen = false;
    if (this.#opening !== undefined || this.#life.ended !== undefined) return;
    this.#timer?.cancel();
    this.#opening = this.#try().finally(() => {
      this.#opening = undefined;
    });
  }

  /** Settles when it is open. Errors: `unavailable` when a try has failed; it goes on trying. */
  async opened({ operation, key }: Call): Promise<void> {
    while (!this.#isOpen) {
      if (this.#life.ended !== undefined)
        throw failure('closed', operation, 'the store is closed', { key });
      if (this.#opening === undefined) throw this.#refusal(operation, key);
      await this.#opening;
    }
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#life.end('closed');
    await this.#opening;
  }

  #refusal(operation: string, key: string | undefined): StrataError {
    const cause = this.#failed;
    return new StrataError(
      'unavailable',
      `${operation}: the first store is not known to be sound: ${cause?.message}`,
      { operation, key, cause, ...(cause?.details && { details: cause.details }) },
    );
  }

  async #try(): Promise<void> {
    try {
      await this.#life.untilEnd(this.#open());
      this.#isOpen = true;
      this.#failed = undefined;
      this.#tries = 0;
      this.#setup.onOpen();
    } catch (error) {
      if (this.#life.ended !== undefined) return;
      this.#failed = asStrataError(error, 'open');
      const { retry, first } = this.#setup;
      const pauseMs = Math.min(retry.maxMs, retry.minMs * 2 ** Math.min(20, this.#tries++));
      this.#timer = first.member.env.setTimer(() => this.begin(), pauseMs, { background: true });
    }
  }

  async #open(): Promise<void> {
    const { first, sync, async, journal } = this.#setup;
    const state = await first.state();
    const { storeId, head } = state;
    first.begin(state);
    await journal?.open(this.#life);
    for (const member of [first.member, ...sync, ...async]) member.journalId = journal?.id;
    const mark = await first.member.readMark();
    if (mark?.storeId === storeId && mark.at.epoch === head.epoch) {
      first.isNoted = true;
      return;
    }
    first.isNoted = false;
    await this.#rebuild(mark, head);
    const now = await first.state();
    if (now.head.epoch !== head.epoch)
      throw failure('unavailable', 'open', 'the first store lost data while it was opened');
    // A store in which nothing was ever written stays so until the first write.
    if (now.head.rev > 0) await first.note();
  }

  /** Takes into the first store what others have and it has not. */
  async #rebuild(own: Mark | undefined, head: Position): Promise<void> {
    const { first, onEvent } = this.#setup;
    const sources = await this.#sources();
    const better = new Better({ first, own, head, kept: this.#kept(sources) });
    const found = sources.filter(({ empty }) => !empty);
    if (found.length === 0 && better.keptKeys === 0) return;
    let adopted = 0;
    let writes: Write<V>[] = [];
    const add = async (write: Write<V> | undefined): Promise<void> => {
      if (write !== undefined) writes.push(write);
      if (writes.length >= ADOPTED_AT_ONCE) await flush();
    };
    const flush = async (): Promise<void> => {
      adopted += writes.length;
      const batch = writes;
      writes = [];
      if (batch.length > 0) await adopt(first, batch);
    };
    const members = [first.member, ...found.map(({ member }) => member)];
    const pages = members.map((member) =>
      member.pages(this.#life, (call) => member.primitives.scan(ALL_KEYS, call)),
    );
    for await (const joined of joinEntries(pages))
      for (const { key, found: held } of joined)
        if (!key.startsWith(first.member.notePrefix)) await add(better.of(key, held));
    for (const write of better.rest()) await add(write);
    await flush();
    onEvent({ type: 'first-rebuilt', adopted });
  }

  /** What the journal holds, unless all these members were brought further without it; and what these hold as intents. */
  #kept(sources: readonly Source<V>[]): Map<string, KeptWrite<V>> {
    const { journal, onEvent } = this.#setup;
    const kept = journal?.newest() ?? new Map<string, KeptWrite<V>>();
    const marks = sources.flatMap(({ mark }) => mark ?? []);
    const isCurrent = marks.length === 0 || marks.some((mark) => mark.journal === journal?.id);
    if (!isCurrent && kept.size > 0) {
      onEvent({ type: 'journal-outdated' });
      kept.clear();
    }
    for (const { intended } of sources)
      for (const [key, write] of intended) {
        const other = kept.get(key);
        kept.set(key, other === undefined ? write : newerOf(other, write));
      }
    return kept;
  }

  /** The members to rebuild from. Errors: `unavailable` when too few answer. */
  async #sources(): Promise<Source<V>[]> {
    const { sync, async, needed } = this.#setup;
    const asked = await Promise.allSettled(sync.map((member) => this.#look(member)));
    const found = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const existed = found.some(({ mark }) => mark !== undefined);
    // Enough to have every acknowledged write among them; nothing is known of a replica that is new.
    const enough = existed ? sync.length - needed + 1 : sync.length;
    if (found.length < Math.min(enough, sync.length)) {
      throw tooFew(sync, asked);
    }
    if (existed) return found;
    const late = await Promise.allSettled(async.map((member) => this.#look(member)));
    const more = late.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    // The journal goes on from what any of these has that it has brought up to date.
    const suffices =
      more.length === async.length || more.some(({ mark }) => this.#isOfJournal(mark));
    if (this.#setup.journal?.wasUsed === true && !suffices) throw tooFew(async, late);
    return [...found, ...more];
  }

  #isOfJournal(mark: Mark | undefined): boolean {
    return mark?.journal !== undefined && mark.journal === this.#setup.journal?.id;
  }

  async #look(member: Member<V>): Promise<Source<V>> {
    const mark = await member.readMark();
    const intended = await replayIntents(member, mark, this.#life);
    const pages = member.pages(this.#life, (call) => member.primitives.scanKeys(ALL_KEYS, call));
    for await (const page of pages)
      if (page.some((key) => !key.startsWith(member.notePrefix)))
        return { member, mark, intended, empty: false };
    return { member, mark, intended, empty: true };
  }
}

/** A member to rebuild the first store from. */
interface Source<V> {
  readonly member: Member<V>;
  readonly mark: Mark | undefined;
  /** Of keys whose newest write it has beside its entries. */
  readonly intended: ReadonlyMap<string, KeptWrite<V>>;
  readonly empty: boolean;
}

function tooFew<V>(
  members: readonly Member<V>[],
  asked: readonly PromiseSettledResult<unknown>[],
): StrataError {
  const causes = asked.flatMap((one, at) =>
    one.status === 'rejected' ? [{ member: members[at]?.name, cause: one.reason as unknown }] : [],
  );
  return failure(
    'unavailable',
    'open',
    `the first store has no note of this replica, and ${causes.map(({ member }) => member).join(', ')} may hold more`,
    { cause: causes[0]?.cause, details: { causes } },
  );
}
