import { Call } from '../../store/call.ts';
import type { StrataError } from '../../store/errors.ts';
import type { CallOptions } from '../../store/operations.ts';
import * as is from '../../store/option-rules.ts';
import { CALL_RULES, checkOptions } from '../../store/options.ts';
import type { FeedState } from '../../store/primitives.ts';
import type { Comparing } from './compare.ts';
import { compareChanges, type EvenPlaces, isFew } from './compare-changes.ts';
import { compareRanges } from './compare-ranges.ts';
import { addCounts, NO_COUNTS, type RepairCounts } from './events.ts';
import type { Lane } from './lane.ts';
import { asStrataError } from './member.ts';
import { FirstSums } from './repair-sums.ts';
import type { Replica } from './replica-store.ts';

/** How to repair. */
export interface RepairOptions extends CallOptions {
  /**
   * Reads everything anew. By default what an earlier repair of this opened store has found is built
   * upon, as far as the feeds of the stores tell what changed since. Default false.
   */
  readonly full?: boolean;
  /** Hears of the counts of one member, range after range. */
  readonly onProgress?: (member: string, counts: RepairCounts) => void;
}

/** What a repair found and did: all members together, and each one. */
export interface RepairResult extends RepairCounts {
  readonly members: readonly MemberRepair[];
}

/** What a repair found and did with one member. */
export interface MemberRepair extends RepairCounts {
  readonly name: string;
  /** Why it could not be repaired to the end. */
  readonly error?: StrataError;
}

const RULES = { full: is.boolean, onProgress: is.fn, ...CALL_RULES };

/** The repairs of one replica, one after the other, and what they have found out. */
export class Repairs<V> {
  readonly #replica: Replica<V>;
  /** Made by the first repair. */
  #sums: FirstSums<V> | undefined;
  /** Where each member was last known to hold what the first store does; of use also after repairs that failed. */
  readonly #even = new Map<Lane<V>, EvenPlaces>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(replica: Replica<V>) {
    this.#replica = replica;
  }

  /** Compares every member with the first store, one after the other. */
  async run(options: RepairOptions | undefined): Promise<RepairResult> {
    checkOptions('repair', options, RULES);
    const { full, onProgress, ...bounds } = options ?? {};
    const { env } = this.#replica.parts;
    const call = new Call(env, 'repair', undefined, bounds, Number.POSITIVE_INFINITY);
    call.throwIfEnded();
    const work = (): Promise<RepairResult> =>
      this.#alone(async () => {
        call.throwIfEnded();
        if (full === true) this.#forget();
        const members: MemberRepair[] = [];
        for (const lane of this.#replica.lanes)
          members.push(
            await this.#repair(lane, call, (counts) => onProgress?.(lane.member.name, counts)),
          );
        return { ...members.reduce<RepairCounts>(addCounts, NO_COUNTS), members };
      });
    return call.guard(Promise.resolve(this.#replica.run(call, work)));
  }

  #forget(): void {
    this.#sums = undefined;
    this.#even.clear();
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    // Its own caller is told what it failed with; the next one begins anew.
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #repair(
    lane: Lane<V>,
    call: Call,
    onProgress: (counts: RepairCounts) => void,
  ): Promise<MemberRepair> {
    const { first, wasDeleted } = this.#replica;
    const { member } = lane;
    const { name } = member;
    let counts = NO_COUNTS;
    const life = Call.background(member.env, 'repair');
    const forget = [call, lane.life].map((outer) => outer.onEnd(() => life.end('aborted')));
    try {
      await lane.even(call);
      counts = await this.#compare(lane, {
        first,
        member,
        mark: lane.mark,
        life,
        wasDeleted,
        alone: (step) => lane.alone(step),
        apply: (writes) => lane.writes.apply(writes),
        onProgress: (now) => {
          counts = now;
          onProgress(now);
        },
      });
      return { name, ...counts };
    } catch (error) {
      call.throwIfEnded();
      return { name, ...counts, error: asStrataError(error, 'repair') };
    } finally {
      for (const stop of forget) stop();
    }
  }

  async #compare(lane: Lane<V>, comparing: Comparing<V>): Promise<RepairCounts> {
    const { first } = comparing;
    const since = this.#even.get(lane);
    this.#sums ??= new FirstSums(first);
    // What is written from here on is looked at by the next repair.
    const now = { first: await first.state(), member: await stateOf(lane) };
    const counts =
      (await this.#compareChanges(comparing, since, now)) ??
      (await compareRanges(comparing, this.#sums, now.first));
    if (now.member !== undefined)
      this.#even.set(lane, { first: placeOf(now.first), member: placeOf(now.member) });
    return counts;
  }

  async #compareChanges(
    comparing: Comparing<V>,
    since: EvenPlaces | undefined,
    { first, member }: { first: FeedState; member: FeedState | undefined },
  ): Promise<RepairCounts | undefined> {
    const { count = 0 } = this.#sums ?? {};
    if (since === undefined || member === undefined) return undefined;
    if (!isFew(since.first, first, count) || !isFew(since.member, member, count)) return undefined;
    return compareChanges(comparing, since, { first, member });
  }
}

/** Where a member's history stands, where it has one that can be read. */
async function stateOf<V>({ member }: Lane<V>): Promise<FeedState | undefined> {
  const { feed, capabilities } = member.primitives;
  if (feed === undefined || !capabilities.feed) return undefined;
  return member.ask('repair', (call) => feed.state(call));
}

function placeOf({ storeId, head }: FeedState): { storeId: string; at: FeedState['head'] } {
  return { storeId, at: head };
}
