import { defineStore } from '../../store/define-store.ts';
import { type ReplicaStore, withReplicaControls } from './controls.ts';
import { checkReplicaOptions, type ReplicaOptions } from './options.ts';
import { replicaParts } from './replica-parts.ts';
import { Replica, replicaPrimitives } from './replica-store.ts';

export type { ReplicaControls, ReplicaStore } from './controls.ts';
export type {
  MemberState,
  MemberStatus,
  RefusedWrite,
  RepairCounts,
  ReplicaEvent,
  ReplicaPending,
  ReplicaStatus,
} from './events.ts';
export type { ReplicaOptions } from './options.ts';
export type { MemberRepair, RepairOptions, RepairResult } from './repair.ts';

/**
 * Several stores as one: a write is acknowledged when every synchronous store has it (or as many as
 * `write` says), and reaches the asynchronous ones later.
 *
 * - The first synchronous store gives the order: conditions, versions, revisions and the feed are its
 *   own. Without it nothing can be written, and what is read comes from the others.
 * - A member is read only for keys of which it is known to have the newest. What it lacks after a
 *   failure, a crash or the loss of its data is brought to it from the first store; a first store that
 *   lost data gets it from the others before it is read.
 * - A write that the first store has and too few others do fails with `unknown-outcome`.
 * - One process at a time writes through a replica of the same members.
 *
 * Errors: `invalid-argument` for options that make no sense, `unsupported` for a store that cannot be
 * a member.
 *
 * ```ts
 * const store = replica({ sync: [lmdb({ path: './data' }), redis({ client })], async: [archive] });
 * ```
 */
export function replica<V>(options: ReplicaOptions<V>): ReplicaStore<V> {
  checkReplicaOptions(options);
  const members = new Replica(replicaParts(options));
  const primitives = replicaPrimitives(members);
  const { sync, async = [], journal } = options;
  const parts = [...sync, ...async, ...(journal === undefined ? [] : [journal])];
  const stores = options.closeParts === false ? [] : parts;
  const close = async (): Promise<void> => {
    await members.close();
    const results = await Promise.allSettled(stores.map((store) => store.close()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  };
  return withReplicaControls(defineStore({ ...primitives, close }), members);
}
