import { Call } from '../../store/call.ts';
import type { StrataError } from '../../store/errors.ts';
import type { CallOptions } from '../../store/operations.ts';
import * as is from '../../store/option-rules.ts';
import { CALL_RULES, checkOptions } from '../../store/options.ts';
import { compareMember } from './compare.ts';
import { addCounts, NO_COUNTS, type RepairCounts } from './events.ts';
import type { Lane } from './lane.ts';
import { asStrataError } from './member.ts';
import type { Replica } from './replica-store.ts';

/** How to repair. */
export interface RepairOptions extends CallOptions {
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

const RULES = { onProgress: is.fn, ...CALL_RULES };

/** Compares every member with the first store, one after the other. */
export async function repairReplica<V>(
  replica: Replica<V>,
  options: RepairOptions | undefined,
): Promise<RepairResult> {
  checkOptions('repair', options, RULES);
  const { env } = replica.parts;
  const { onProgress, ...bounds } = options ?? {};
  const call = new Call(env, 'repair', undefined, bounds, Number.POSITIVE_INFINITY);
  call.throwIfEnded();
  const work = async (): Promise<RepairResult> => {
    const members: MemberRepair[] = [];
    for (const lane of replica.lanes)
      members.push(
        await repairMember(replica, lane, call, (counts) => onProgress?.(lane.member.name, counts)),
      );
    return { ...members.reduce<RepairCounts>(addCounts, NO_COUNTS), members };
  };
  return call.guard(Promise.resolve(replica.run(call, work)));
}

async function repairMember<V>(
  { first, wasDeleted }: Replica<V>,
  lane: Lane<V>,
  call: Call,
  onProgress: (counts: RepairCounts) => void,
): Promise<MemberRepair> {
  const { member } = lane;
  const { name } = member;
  let counts = NO_COUNTS;
  const life = Call.background(member.env, 'repair');
  const forget = [call, lane.life].map((outer) => outer.onEnd(() => life.end('aborted')));
  try {
    await lane.even(call);
    counts = await compareMember({
      first,
      member,
      mark: lane.mark,
      life,
      wasDeleted,
      alone: (step) => lane.alone(step),
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
