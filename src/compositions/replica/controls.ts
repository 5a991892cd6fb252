import { Call } from '../../store/call.ts';
import type { CallOptions } from '../../store/operations.ts';
import * as is from '../../store/option-rules.ts';
import { CALL_RULES, checkOptions } from '../../store/options.ts';
import type { Store } from '../../store/store.ts';
import type { ReplicaPending, ReplicaStatus } from './events.ts';
import { type RepairOptions, type RepairResult, Repairs } from './repair.ts';
import type { Replica } from './replica-store.ts';

/** How long a close waits for the asynchronous members, in ms. */
const DRAIN_MS = 5_000;

/** What a replica adds to a store. */
export interface ReplicaControls {
  /** How the members stand, now. */
  status(): ReplicaStatus;
  /** What is written and not yet everywhere. */
  pending(): ReplicaPending;
  /**
   * Waits until every member has what is written now, or has failed. No bound unless given. Resolves
   * with what is left then. A member that is away is tried at once.
   */
  flush(options?: CallOptions): Promise<ReplicaPending>;
  /**
   * Compares every member with the first store, range by range, and puts right what differs: see
   * `RepairResult`. Beside reads and writes. No bound unless given.
   * Errors: those of the first store. A member that fails is told in the result.
   */
  repair(options?: RepairOptions): Promise<RepairResult>;
  /** Closes; waits 5,000 ms at most for members that are behind. What they lack they get at the next opening, from the first store. */
  close(): Promise<void>;
  /** Closes, and waits `drainMs` for members that are behind (0 does not wait). Resolves with what is left. */
  close(options: { readonly drainMs?: number }): Promise<ReplicaPending>;
}

/** Several stores as one. */
export type ReplicaStore<V> = Store<V> & ReplicaControls;

const CLOSE_RULES = {
  drainMs: {
    expected: 'a number of ms',
    accepts: (value: unknown) => value === 0 || is.durationMs.accepts(value),
  },
};

/** Adds the controls of a replica to the store that its primitives make. */
export function withReplicaControls<V>(store: Store<V>, replica: Replica<V>): ReplicaStore<V> {
  const closeStore = store.close.bind(store);
  const { env } = replica.parts;
  const repairs = new Repairs(replica);
  let closing: Promise<ReplicaPending> | undefined;
  const controls = {
    status: () => replica.status,
    pending: () => pendingOf(replica),
    flush: async (options?: CallOptions): Promise<ReplicaPending> => {
      checkOptions('flush', options, CALL_RULES);
      const call = new Call(env, 'flush', undefined, options, Number.POSITIVE_INFINITY);
      call.throwIfEnded();
      await call.guard(Promise.resolve(replica.run(call, () => drained(replica, call))));
      return pendingOf(replica);
    },
    repair: (options?: RepairOptions) => repairs.run(options),
    close: async (options?: { readonly drainMs?: number }): Promise<ReplicaPending> => {
      checkOptions('close', options, CLOSE_RULES);
      closing ??= (async () => {
        await replica.traffic.end(DRAIN_MS);
        await drainWithin(replica, options?.drainMs ?? DRAIN_MS);
        const left = pendingOf(replica);
        await closeStore();
        return left;
      })();
      return closing;
    },
  };
  return Object.assign(store, controls) as ReplicaStore<V>;
}

async function drained<V>(replica: Replica<V>, call: Call): Promise<void> {
  await Promise.allSettled(replica.lanes.map((lane) => lane.even(call)));
  call.throwIfEnded();
}

async function drainWithin<V>(replica: Replica<V>, drainMs: number): Promise<void> {
  if (drainMs === 0 || replica.lanes.every((lane) => lane.isEven)) return;
  if (!replica.opening.isOpen) return;
  const { env } = replica.parts;
  const call = new Call(env, 'close', undefined, { timeoutMs: drainMs });
  await call.guard(drained(replica, call)).catch(() => {});
}

function pendingOf<V>({ lanes }: Replica<V>): ReplicaPending {
  let entries = 0;
  let bytes = 0;
  const behind: string[] = [];
  for (const { status, isEven } of lanes) {
    entries += status.queued;
    bytes += status.queuedBytes;
    if (!isEven) behind.push(status.name);
  }
  return { entries, bytes, behind };
}
