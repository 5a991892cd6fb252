import { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import type { Timer } from '../../store/env.ts';
import { failure, StrataError } from '../../store/errors.ts';
import type { Write } from '../../store/primitives.ts';
import { ALL_KEYS, adopt } from './compare.ts';
import type { ReplicaEvent } from './events.ts';
import type { FirstStore } from './first-store.ts';
import { joinEntries } from './join-entries.ts';
import { asStrataError, type Mark, type Member } from './member.ts';
import { stampOf, toAdopted } from './stamps.ts';

/** So many entries are taken into the first store at once. */
const ADOPTED_AT_ONCE = 256;

export interface OpeningSetup<V> {
  readonly first: FirstStore<V>;
  /** The other synchronous members. */
  readonly sync: readonly Member<V>[];
  readonly async: readonly Member<V>[];
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
    const { first } = this.#setup;
    const { storeId, head } = await first.state();
    first.storeId = storeId;
    first.epoch = head.epoch;
    const mark = await first.member.readMark();
    if (mark?.storeId === storeId && mark.at.epoch === head.epoch) {
      first.isNoted = true;
      return;
    }
    first.isNoted = false;
    await this.#rebuild(mark);
    const now = await first.state();
    if (now.head.epoch !== head.epoch)
      throw failure('unavailable', 'open', 'the first store lost data while it was opened');
    // A store in which nothing was ever written stays so until the first write.
    if (now.head.rev > 0) await first.note();
  }

  /** Takes into the first store what others have and it has not. */
  async #rebuild(own: Mark | undefined): Promise<void> {
    const { first, onEvent } = this.#setup;
    const sources = await this.#sources();
    if (sources.length === 0) return;
    let adopted = 0;
    let writes: Write<V>[] = [];
    const flush = async (): Promise<void> => {
      adopted += writes.length;
      const batch = writes;
      writes = [];
      if (batch.length > 0) await adopt(first, batch);
    };
    const members = [first.member, ...sources];
    const pages = members.map((member) =>
      member.pages(this.#life, (call) => member.primitives.scan(ALL_KEYS, call)),
    );
    for await (const joined of joinEntries(pages)) {
      for (const { key, found } of joined) {
        if (key.startsWith(first.member.notePrefix)) continue;
        const write = this.#better(found, own);
        if (write === undefined) continue;
        writes.push(write);
        if (writes.length >= ADOPTED_AT_ONCE) await flush();
      }
    }
    await flush();
    onEvent({ type: 'first-rebuilt', adopted });
  }

  /** The members to rebuild from, those that hold nothing left out. Errors: `unavailable` when too few answer. */
  async #sources(): Promise<Member<V>[]> {
    const { sync, async, needed } = this.#setup;
    const asked = await Promise.allSettled(sync.map((member) => this.#look(member)));
    const found = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const existed = found.some(({ mark }) => mark !== undefined);
    // Enough to have every acknowledged write among them; nothing is known of a replica that is new.
    const enough = existed ? sync.length - needed + 1 : sync.length;
    if (found.length < Math.min(enough, sync.length)) {
      const causes = asked.flatMap((one, at) =>
        one.status === 'rejected' ? [{ member: sync[at]?.name, cause: one.reason as unknown }] : [],
      );
      throw failure(
        'unavailable',
        'open',
        `the first store has no note of this replica, and ${causes.map(({ member }) => member).join(', ')} may hold more`,
        { cause: causes[0]?.cause, details: { causes } },
      );
    }
    if (existed) return found.filter(({ empty }) => !empty).map(({ member }) => member);
    const late = await Promise.allSettled(async.map((member) => this.#look(member)));
    const more = late.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    return [...found, ...more].filter(({ empty }) => !empty).map(({ member }) => member);
  }

  async #look(member: Member<V>): Promise<{
    readonly member: Member<V>;
    readonly mark: Mark | undefined;
    readonly empty: boolean;
  }> {
    const mark = await member.readMark();
    const pages = member.pages(this.#life, (call) => member.primitives.scanKeys(ALL_KEYS, call));
    for await (const page of pages)
      if (page.some((key) => !key.startsWith(member.notePrefix)))
        return { member, mark, empty: false };
    return { member, mark, empty: true };
  }

  /** What the first store should have of a key, unless it has the newest already. */
  #better(
    [right, ...others]: readonly (Entry<V> | undefined)[],
    own: Mark | undefined,
  ): Write<V> | undefined {
    const held = newest(others);
    if (held === undefined) return undefined;
    if (right === undefined) return toAdopted(held);
    const stamp = stampOf(held);
    const { first } = this.#setup;
    const rev = right.rev ?? 0;
    // Only where it has been rewound can others have something newer of the same history.
    const isRewound = own?.storeId === first.storeId && stamp?.store.endsWith(first.storeId);
    if (!isRewound || stamp === undefined || stamp.version === right.version) return undefined;
    if (stamp.rev <= rev || first.feed.epochOf(rev) === first.epoch) return undefined;
    const { if: _, ...write } = toAdopted(held);
    return { ...write, if: { version: right.version } };
  }
}

function newest<V>(entries: readonly (Entry<V> | undefined)[]): Entry<V> | undefined {
  let best: Entry<V> | undefined;
  for (const entry of entries) {
    if (entry === undefined) continue;
    const rev = stampOf(entry)?.rev ?? -1;
    if (best === undefined || rev > (stampOf(best)?.rev ?? -1)) best = entry;
  }
  return best;
}
