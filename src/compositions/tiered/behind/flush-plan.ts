import { sameValue } from '../../../store/clone.ts';
import type { Entry } from '../../../store/entry.ts';
import { StrataError } from '../../../store/errors.ts';
import { changeBytes } from '../../../store/feed/commit-log.ts';
import type { Write } from '../../../store/primitives.ts';
import { isAsBefore } from './base.ts';
import type { PendingWrite } from './pending-writes.ts';
import { isOwn, toBack } from './stamps.ts';

/** What becomes of a pending write that was compared with the back. */
export type Verdict =
  /** It is sent as it is. */
  | { readonly type: 'send' }
  /** It is sent on condition that the back is still as it was seen. */
  | { readonly type: 'send-if' }
  /** The back has it already. */
  | { readonly type: 'there' }
  /** Somebody else changed the key. */
  | { readonly type: 'conflict' }
  /** It can never be taken. */
  | { readonly type: 'refuse'; readonly cause: StrataError };

export interface FlushRules {
  readonly storeId: string;
  /** Changes of others are looked for. */
  readonly tracksBase: boolean;
  /** Windows cannot be fenced: each write is conditional on what it replaces. */
  readonly guards: boolean;
}

/** Whether the back must be looked at before a write is sent: a blind set could replace an immutable entry. */
export function needsLook<V>(
  { base, entry }: PendingWrite<V>,
  { tracksBase, guards }: FlushRules,
): boolean {
  if (tracksBase || guards) return true;
  return base === undefined && entry !== undefined && entry.origin === undefined;
}

/** Compares a pending write with what stands in the back. */
export function judge<V>(
  write: PendingWrite<V>,
  now: Entry<V> | undefined,
  { storeId, tracksBase, guards }: FlushRules,
  nowMs: number,
): Verdict {
  const { entry, base } = write;
  const own = now !== undefined && isOwn(now, storeId);
  if (now !== undefined && isThere(write, now, storeId)) return { type: 'there' };
  const asBefore = isAsBefore(base, now, own, nowMs);
  const blind = base === undefined || !asBefore;
  if (blind && now?.immutable === true && entry !== undefined && entry.origin === undefined)
    return entry.immutable === true && sameValue(entry.value, now.value)
      ? { type: 'there' }
      : { type: 'refuse', cause: immutable(write.key, now.version) };
  if (tracksBase && !asBefore) return { type: 'conflict' };
  return { type: tracksBase || guards ? 'send-if' : 'send' };
}

/** A pending write as the back gets it. */
export function backWrite<V>(
  { key, entry, epoch }: PendingWrite<V>,
  storeId: string,
  seen: { readonly entry: Entry<V> | undefined } | undefined,
): Write<V> {
  const write: Write<V> =
    entry === undefined ? { type: 'delete', key } : toBack(entry, { storeId, epoch });
  if (seen === undefined) return write;
  const { entry: now } = seen;
  return { ...write, if: now === undefined ? 'absent' : { version: now.version } };
}

/** Longest wait for a commit of so much. */
export function flushTimeoutMs<V>(baseMs: number, writes: readonly Write<V>[]): number {
  let bytes = 0;
  for (const write of writes)
    bytes += changeBytes(write.key, write.type === 'set' ? write.value : undefined);
  return baseMs + writes.length + Math.ceil(bytes / 1_024);
}

function isThere<V>(write: PendingWrite<V>, now: Entry<V>, storeId: string): boolean {
  const { origin } = now;
  return origin?.store === storeId && origin.version === write.write.version;
}

function immutable(key: string, version: string): StrataError {
  const what = `${JSON.stringify(key)} is immutable in the back and holds another value`;
  return new StrataError('conflict', `flush: ${what}`, {
    operation: 'flush',
    key,
    details: { version },
  });
}
