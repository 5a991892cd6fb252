import type { Call } from '../store/call.ts';
import { COPY_RECORDS, copyRecordsRange, tellsOf } from '../store/copy-records.ts';
import { isStrataError, StrataError } from '../store/errors.ts';
import { fromCursor, toCursor } from '../store/feed/cursor.ts';
import type { Position, SetWrite } from '../store/primitives.ts';
import type { AnySide } from './sides.ts';

const FORMAT = 1;

/** How far a local store is a copy of which source: kept in the store, moved with every group. */
export interface CursorRecord {
  /** The source's own id. */
  readonly sourceId: string;
  /** What part of it this copy has. */
  readonly scope: string;
  readonly at: Position;
  /** Ids of the stores in which its entries were first written: the source, and what that copies. */
  readonly origins: readonly string[];
}

/** The record as the store holds it. */
export interface StoredRecord {
  readonly record: CursorRecord;
  /** Of the stored entry, for the condition of the next move. */
  readonly version: string;
}

/**
 * The copy as this subscription knows it. Another tab may have moved the shared cursor while this
 * one had no connection, and nobody here has heard of what it brought: so it goes on from where it
 * stood itself. Groups that are there already are told of and not applied again.
 */
export function untold(
  copy: CursorRecord,
  known: CursorRecord | undefined,
  at: Position | undefined,
): CursorRecord {
  const isSame = copy.sourceId === known?.sourceId && copy.scope === known.scope;
  const isAhead = at !== undefined && at.epoch === copy.at.epoch && at.rev < copy.at.rev;
  return isSame && isAhead ? { ...copy, at } : copy;
}

/** Where the record of one subscription is kept: a copy of another prefix is another copy. */
export function recordKey(prefix: string): string {
  return COPY_RECORDS + prefix;
}

/** Reads a record; `undefined` when there is none. Errors: `corrupt`. */
export async function readRecord(
  local: AnySide,
  prefix: string,
  call: Call,
): Promise<StoredRecord | undefined> {
  const key = recordKey(prefix);
  const found = local.primitives.readOne(key, call);
  const entry = found instanceof Promise ? await call.guard(found) : found;
  return entry && { record: parse(key, local.readText(entry.value)), version: entry.version };
}

/**
 * Refuses what would mix copies: a store that is a copy of another source by any of its records, or
 * a prefix that shares keys with another one copied into it, since each has a cursor of its own and
 * could set the other's keys back. Errors: `conflict`.
 */
export async function checkRecords(
  local: AnySide,
  prefix: string,
  sourceId: string,
  call: Call,
): Promise<void> {
  for await (const page of local.primitives.scan(copyRecordsRange(), call))
    for (const { key, value } of page) {
      if (parse(key, local.readText(value)).sourceId !== sourceId) throw otherSource();
      if (key !== recordKey(prefix) && tellsOf(key, prefix))
        throw overlapping(key.slice(COPY_RECORDS.length), prefix);
    }
}

/** Refuses to mix the copies of two sources. */
export function otherSource(): StrataError {
  return new StrataError(
    'conflict',
    'subscribe: the local store is a copy of another source; use an empty store (clear() empties one), or that source',
    { operation: 'subscribe' },
  );
}

function overlapping(copied: string, prefix: string): StrataError {
  const [other, own] = [copied, prefix].map((text) => JSON.stringify(text));
  return new StrataError(
    'conflict',
    `subscribe: the local store is a copy of keys that begin with ${other} already, which shares keys with the prefix ${own}; use that prefix, another store, or clear() this one`,
    { operation: 'subscribe' },
  );
}

/** The write that moves a record, only over the one known. */
export function recordWrite(
  local: AnySide,
  prefix: string,
  { sourceId, scope, at, origins }: CursorRecord,
  over: StoredRecord | undefined,
): SetWrite<unknown> {
  const { conditional } = local.primitives.capabilities;
  const condition = over === undefined ? ('absent' as const) : { version: over.version };
  const honoured =
    conditional === 'all' ||
    conditional === 'set' ||
    (conditional === 'absent' && condition === 'absent');
  const text = JSON.stringify({ format: FORMAT, sourceId, scope, cursor: toCursor(at), origins });
  return {
    type: 'set',
    key: recordKey(prefix),
    value: local.holdText(text),
    ...(honoured && { if: condition }),
  };
}

function parse(key: string, text: string | undefined): CursorRecord {
  try {
    const { format, sourceId, scope, cursor, origins } = JSON.parse(text ?? '');
    if (
      format === FORMAT &&
      typeof sourceId === 'string' &&
      typeof scope === 'string' &&
      Array.isArray(origins) &&
      origins.every((origin) => typeof origin === 'string')
    )
      return { sourceId, scope, at: fromCursor('subscribe', cursor), origins };
  } catch (error) {
    if (!(error instanceof SyntaxError) && !isStrataError(error)) throw error;
  }
  throw new StrataError('corrupt', 'subscribe: the stored cursor is damaged', {
    operation: 'subscribe',
    key,
  });
}
