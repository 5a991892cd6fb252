import type { Call } from './call.ts';
import { toSetWrite, unsupported } from './checks.ts';
import type { Entry, EntryHead } from './entry.ts';
import { isStrataError } from './errors.ts';
import type { SetOptions } from './operations.ts';
import type { Primitives, Write } from './primitives.ts';
import { handOutEntry, handOutValue } from './results.ts';

/** An update that keeps losing waits a little from this try on. */
const PATIENCE = 4;
const MAX_PAUSE_MS = 50;

type UpdateOptions = Omit<SetOptions, 'if'> | undefined;

/** Refuses updates where the store cannot make them atomic. */
export function checkUpdates<V>(primitives: Primitives<V>, key: string): void {
  if (primitives.capabilities.conditional !== 'all')
    throw unsupported(primitives, 'update', key, 'atomic updates');
}

/** The write that puts an updated value in place of the entry it was made from; keeps expiry and metadata unless given. */
export function updateWrite<V>(
  primitives: Primitives<V>,
  key: string,
  before: Entry<V> | undefined,
  value: V | undefined,
  options: UpdateOptions,
): Write<V> {
  const condition = before === undefined ? ('absent' as const) : { version: before.version };
  if (value === undefined) return { type: 'delete', key, if: condition };
  const { expiresAt, meta } = before ?? {};
  const keepsExpiry =
    expiresAt !== undefined && options?.expiresAt === undefined && options?.ttlMs === undefined;
  return {
    ...(keepsExpiry && { expiresAt }),
    ...(meta !== undefined && { meta }),
    ...toSetWrite(primitives, 'update', key, value, options),
    if: condition,
  };
}

/** Whether a failed update is worth another try: somebody else wrote in between. */
export function lostRace<V>(error: unknown, before: Entry<V> | undefined): boolean {
  return isStrataError(error, 'conflict') && before?.immutable !== true;
}

/** Reads, applies `fn` and writes on condition, until no other writer comes in between or the call ends. */
export async function updateEntry<V>(
  primitives: Primitives<V>,
  key: string,
  fn: (value: V | undefined) => V | undefined | Promise<V | undefined>,
  options: UpdateOptions,
  call: Call,
): Promise<Entry<V> | undefined> {
  for (let tries = 1; ; tries++) {
    call.throwIfEnded();
    const before = await primitives.readOne(key, call);
    const value = await fn(before && handOutValue(primitives, before.value));
    call.throwIfEnded();
    if (value === undefined && before === undefined) return undefined;
    const write = updateWrite(primitives, key, before, value, options);
    try {
      const { outcomes } = await primitives.commit([write], call);
      if (write.type === 'delete') return undefined;
      const head = outcomes[0]?.entry as EntryHead;
      return handOutEntry(primitives, { ...head, value: write.value });
    } catch (error) {
      if (!lostRace(error, before)) throw error;
    }
    if (tries < PATIENCE) continue;
    const pauseMs = primitives.env.random() * Math.min(MAX_PAUSE_MS, tries);
    await call.untilEnd(
      new Promise((resolve) => primitives.env.setTimer(() => resolve(undefined), pauseMs)),
    );
  }
}
