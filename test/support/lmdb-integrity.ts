/** Whether the tables of a store in LMDB fit together, told by looking at every record. */
import { open } from 'lmdb';
import { PageCursor } from '../../src/drivers/lmdb/change-page.ts';
import { ENVELOPES } from '../../src/drivers/lmdb/envelope-io.ts';
import { decodeHead } from '../../src/drivers/lmdb/head.ts';
import { expiryBytes, placeBytes, readPlace } from '../../src/drivers/lmdb/places.ts';
import { openTables } from '../../src/drivers/lmdb/tables.ts';
import { Envelope } from '../../src/store/feed/envelope.ts';
import { readUint48 } from '../../src/store/version.ts';

interface Findings {
  /** Nothing in a sound store. */
  readonly flaws: readonly string[];
  /** Changes in the index, and those of them that are no longer their key's last. */
  readonly changes: number;
  readonly stale: number;
}

/** Examines a store that nobody else writes to meanwhile. */
export async function examineLmdb(path: string): Promise<Findings> {
  const root = open<Buffer, Buffer>({
    path,
    noSubdir: false,
    maxDbs: 8,
    encoding: 'binary',
    keyEncoding: 'binary',
    overlappingSync: false,
    eventTurnBatching: false,
  });
  try {
    const tables = openTables(root, false);
    return tables === undefined ? { flaws: ['no tables'], changes: 0, stale: 0 } : examine(tables);
  } finally {
    await root.close();
  }
}

function examine(tables: NonNullable<ReturnType<typeof openTables>>): Findings {
  const flaws: string[] = [];
  // The binding writes into what it is given.
  const all = (): { start: Buffer } => ({ start: Buffer.of(0) });
  const text = (place: { rev: number; pos: number }): string => `${place.rev}.${place.pos}`;
  const head = decodeHead(tables.meta.getBinary('head') as Buffer);
  /** The place of each key's last change. */
  const current = new Map<string, string>();
  const expiries = new Set<string>();
  for (const { key, value } of tables.values.getRange({ start: '\0' })) {
    const envelope = new Envelope(ENVELOPES, key, new Uint8Array(value));
    current.set(key, text(envelope));
    if (envelope.rev > head.rev) flaws.push(`${key} is of the future`);
    if (envelope.expiresAt !== undefined)
      expiries.add(expiryBytes(envelope.expiresAt, envelope).toString('hex'));
  }
  const tombstones = new Set<string>();
  let tombstoneBytes = 0;
  for (const { key, value } of tables.deleted.getRange({ start: '\0' })) {
    if (current.has(key)) flaws.push(`${key} is there and deleted`);
    current.set(key, text(readPlace(value)));
    tombstones.add(`${placeBytes(readPlace(value)).toString('hex')} ${key}`);
    tombstoneBytes += 96 + key.length;
  }
  for (const { key, value } of tables.tombstones.getRange(all()))
    if (!tombstones.delete(`${key.toString('hex')} ${value}`)) flaws.push(`tombstone of ${value}`);
  for (const record of tombstones) flaws.push(`no tombstone ${record}`);
  for (const record of tables.expiries.getKeys(all()))
    if (!expiries.delete(record.toString('hex'))) flaws.push('an expiry of nothing');
  for (const record of expiries) flaws.push(`no expiry ${record}`);
  const { changes, stale } = examineIndex(tables, current, flaws);
  if (head.tombstoneBytes !== tombstoneBytes)
    flaws.push(`${head.tombstoneBytes} bytes of tombstones counted, ${tombstoneBytes} there`);
  if (head.changes !== changes) flaws.push(`${head.changes} changes counted, ${changes} there`);
  if (head.stale !== stale) flaws.push(`${head.stale} stale changes counted, ${stale} there`);
  let next = head.oldestCommit;
  for (const { key, value } of tables.commits.getRange(all())) {
    const [first, last] = [readUint48(value, 0), readUint48(key, 0)];
    if (first > Math.max(1, next) || last < first) flaws.push(`commits ${first} to ${last}`);
    next = last + 1;
  }
  if (head.rev > 0 && next !== head.rev + 1) flaws.push(`commits end at ${next - 1}`);
  return { flaws, changes, stale };
}

/** Each key's last change must be in the index, and all in order. */
function examineIndex(
  tables: NonNullable<ReturnType<typeof openTables>>,
  current: ReadonlyMap<string, string>,
  flaws: string[],
): { changes: number; stale: number } {
  const missing = new Set(current.keys());
  let changes = 0;
  let stale = 0;
  let before = placeBytes({ rev: 0, pos: 0 });
  for (const { key: upper, value: page } of tables.changes.getRange({ start: Buffer.of(0) })) {
    const cursor = new PageCursor(page);
    while (cursor.next()) {
      changes++;
      const place = placeBytes(cursor);
      if (Buffer.compare(before, place) >= 0) flaws.push('the index is out of order');
      if (Buffer.compare(place, upper) > 0) flaws.push('a change is beyond its page');
      before = place;
      if (current.get(cursor.key) === `${cursor.rev}.${cursor.pos}`) missing.delete(cursor.key);
      else stale++;
    }
  }
  for (const key of missing) flaws.push(`${key} is not in the index`);
  return { changes, stale };
}
