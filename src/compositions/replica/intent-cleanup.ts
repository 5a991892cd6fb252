import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import type { Position, Write } from '../../store/primitives.ts';
import type { FirstStore } from './first-store.ts';
import { replayIntents } from './intent-replay.ts';
import type { Intents } from './intents.ts';
import type { Mark, Member } from './member.ts';

/** A member whose intents are cleared away while it is brought up to date. */
export interface IntentHolder<V> {
  readonly member: Member<V>;
  readonly first: FirstStore<V>;
  /** Absent where it is never given any. */
  readonly intents?: Intents<V>;
  readonly life: Call;
  alone<T>(step: () => Promise<T>): Promise<T>;
  apply(writes: readonly Write<V>[]): Awaitable<unknown>;
}

/**
 * What the member holds as deleted beside its entries is deleted, before it is compared: else what it
 * still has under these keys would be taken for more than the first store has.
 */
export async function applyIntendedDeletes<V>(
  holder: IntentHolder<V>,
  mark: Mark | undefined,
): Promise<void> {
  const { member, life, intents } = holder;
  if (intents === undefined) return;
  const intended = await replayIntents(member, mark, life);
  const writes = [...intended.values()].flatMap(({ key, copy }): Write<V>[] =>
    copy === undefined ? [{ type: 'delete', key }] : [],
  );
  if (writes.length > 0) await write(holder, writes);
}

/** Removes the intents that a member does not need once it has everything up to a position. */
export async function sweepIntents<V>(holder: IntentHolder<V>, at: Position): Promise<void> {
  const { first, intents, life } = holder;
  if (intents === undefined) return;
  if (at.rev >= first.beganAt) await sweepLeft(holder, await intents.findLeft(life));
  for (;;) {
    const over = intents.removable(({ rev }, { epoch }) => rev <= at.rev || epoch !== first.epoch);
    if (over.length === 0) return;
    await write(holder, intents.removal(over));
    intents.removed(over);
  }
}

/** Removes what an earlier process has left: at once, or the oldest first where a commit is not one step. */
async function sweepLeft<V>(holder: IntentHolder<V>, left: readonly string[]): Promise<void> {
  if (left.length === 0) return;
  const isAtomic = holder.member.primitives.capabilities.atomic === 'batch';
  const deletes = left.map((key): Write<V> => ({ type: 'delete', key }));
  for (const together of isAtomic ? [deletes] : deletes.map((one) => [one]))
    await write(holder, together);
  holder.intents?.forgetLeft();
}

function write<V>(
  { alone, apply }: IntentHolder<V>,
  writes: readonly Write<V>[],
): Promise<unknown> {
  return alone(async () => apply(writes));
}
