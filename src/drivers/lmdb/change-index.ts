import type { Change } from '../../store/entry.ts';
import { Envelope } from '../../store/feed/envelope.ts';
import type { IndexPlace } from '../../store/feed/plan.ts';
import { PageCursor } from './change-page.ts';
import { ENVELOPES } from './envelope-io.ts';
import type { Tip } from './head.ts';
import { placeBytes } from './places.ts';
import { isExpired, type Reader } from './reader.ts';

const PAGE_CHANGES = 1_000;
/** Changes that are no longer their key's last are passed over, at most so many a page. */
const PAGE_EXAMINED = 8_000;
const PAGE_BYTES: number = 1024 * 1024;

/** A part of the change index, and the head at the same moment. */
export interface IndexPage {
  readonly changes: readonly Change<Uint8Array>[];
  readonly tip: Tip;
  /** The last change examined. */
  readonly at: IndexPlace;
  readonly last: boolean;
}

/** Reads on after a place; of deletes only those above a revision. To be called within `reader.run`. */
export function readIndexPage(reader: Reader, after: IndexPlace, deletesAbove: number): IndexPage {
  const tip = reader.tip();
  const nowMs = reader.nowMs();
  const changes: Change<Uint8Array>[] = [];
  let at = after;
  let examined = 0;
  let bytes = 0;
  const start = { start: placeBytes(after), exclusiveStart: true };
  for (const { value: page } of reader.range(reader.tables.changes, start)) {
    const cursor = new PageCursor(page);
    while (cursor.next()) {
      const { rev, pos } = cursor;
      if (rev < after.rev || (rev === after.rev && pos <= after.pos)) continue;
      if (changes.length >= PAGE_CHANGES || examined >= PAGE_EXAMINED || bytes >= PAGE_BYTES)
        return { changes, tip, at, last: false };
      at = { rev, pos };
      examined++;
      const change = currentChange(reader, cursor.key, at, nowMs);
      if (change === undefined) continue;
      if (change.type === 'set') bytes += change.value.length;
      else if (rev <= deletesAbove) continue;
      changes.push(change);
    }
  }
  return { changes, tip, at, last: true };
}

/** The change at a place, while it is its key's last. */
function currentChange(
  reader: Reader,
  key: string,
  place: IndexPlace,
  nowMs: number,
): Change<Uint8Array> | undefined {
  const { rev } = place;
  const stored = reader.stored(key);
  if (stored !== undefined) {
    // Checked also where it is passed over: a damaged place would hide the entry.
    const envelope = new Envelope(ENVELOPES, key, stored);
    if (!isSame(envelope, place)) return undefined;
    if (isExpired(envelope, nowMs)) return { type: 'delete', key, rev };
    return { ...envelope.head(), type: 'set', value: envelope.value.slice() };
  }
  const deleted = reader.deleted(key);
  return deleted !== undefined && isSame(deleted, place) ? { type: 'delete', key, rev } : undefined;
}

/** Whether the change at a place may be its key's last; where the entry is damaged, that is not known. */
export function mayBeCurrent(reader: Reader, key: string, place: IndexPlace): boolean {
  const stored = reader.stored(key);
  if (stored === undefined) {
    const deleted = reader.deleted(key);
    return deleted !== undefined && isSame(deleted, place);
  }
  try {
    return isSame(new Envelope(ENVELOPES, key, stored), place);
  } catch {
    return true;
  }
}

function isSame(a: IndexPlace, b: IndexPlace): boolean {
  return a.rev === b.rev && a.pos === b.pos;
}
