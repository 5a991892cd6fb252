import type { Call } from '../../store/call.ts';
import type { Entry, EntryHead } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import type { Intended } from './intents.ts';
import { intentRange } from './intents.ts';
import { isGone, type KeptWrite } from './kept-writes.ts';
import type { Mark, Member } from './member.ts';
import { copyOf } from './stamps.ts';

/** An intent as a member holds it. */
interface Found<V> extends Intended {
  /** Place in its commit. */
  readonly at: number;
  readonly type: 'set' | 'delete';
  readonly head: EntryHead;
  readonly value: V;
}

/**
 * What the intents of a member come to: of each key the newest. They count in the epoch of the
 * member's mark; its revision says what they are newer than.
 */
export async function replayIntents<V>(
  member: Member<V>,
  mark: Mark | undefined,
  life: Call,
): Promise<Map<string, KeptWrite<V>>> {
  const found: Found<V>[] = [];
  const range = intentRange(member);
  const pages = member.pages(life, (call) => member.primitives.scan(range, call));
  for await (const page of pages)
    for (const entry of page) {
      const intent = fromRecord(entry);
      if (intent?.storeId === mark?.storeId && intent?.epoch === mark?.at.epoch)
        if (intent !== undefined) found.push(intent);
    }
  found.sort((a, b) => a.base - b.base || a.seq - b.seq || a.at - b.at);
  const result = new Map<string, KeptWrite<V>>();
  for (const intent of found) {
    const { key } = intent.head;
    const before = result.get(key);
    // As the first store refuses it.
    if (intent.type === 'set' && before !== undefined && isFixed(before, member.env)) continue;
    result.set(key, toKept(intent, before));
  }
  return result;
}

/** The newer of two writes of a key. */
export function newerOf<V>(a: KeptWrite<V>, b: KeptWrite<V>): KeptWrite<V> {
  return a.rev - b.rev || (a.intent?.seq ?? 0) - (b.intent?.seq ?? 0) > 0 ? a : b;
}

function toKept<V>(
  { type, head, value, storeId, epoch, base, seq }: Found<V>,
  before: KeptWrite<V> | undefined,
): KeptWrite<V> {
  const { key } = head;
  const wasGone = before !== undefined && (before.copy === undefined || !keepsEntries(before));
  const isDelete = type === 'delete';
  const intent = { seq, keepsImmutable: !isDelete && !wasGone };
  // Any copy that is not below this is the write itself, or newer.
  const rev = base + 1;
  if (isDelete) return { key, storeId, epoch, rev, intent };
  const { type: _, ...copy } = copyOf({ ...head, rev }, value, { storeId, epochOf: () => epoch });
  return {
    key,
    storeId,
    epoch,
    rev,
    intent,
    copy: { ...copy, value, version: '', modifiedAt: head.modifiedAt },
  };
}

/** Whether it is an immutable entry that has not expired. */
function isFixed<V>(write: KeptWrite<V>, env: Env): boolean {
  return write.copy?.immutable === true && !isGone(write, env);
}

function keepsEntries<V>({ intent }: KeptWrite<V>): boolean {
  return intent?.keepsImmutable === true;
}

function fromRecord<V>({ meta, value }: Entry<V>): Found<V> | undefined {
  const said = meta?.intent as unknown as (Intended & EntryHead & Found<V>) | undefined;
  if (said === undefined) return undefined;
  const { storeId, epoch, base, seq, at, type, ...head } = said;
  return { storeId, epoch, base, seq, at, type, value, head: { ...head, version: '' } };
}
