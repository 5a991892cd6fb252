import type { Cursor } from '../entry.ts';
import { failure, type StrataError } from '../errors.ts';
import type { Position } from '../primitives.ts';

const FORM = /^([A-Za-z0-9_-]{1,64})\.([0-9a-z]{1,11})\.([A-Za-z0-9_-]{0,64})$/;

/** Writes a position as a cursor. */
export function toCursor(position: Position): Cursor {
  return `${position.epoch}.${position.rev.toString(36)}.${position.id}` as Cursor;
}

/** Reads a cursor; what is none fails with `invalid-argument`. */
export function fromCursor(operation: string, cursor: unknown): Position {
  const parts = typeof cursor === 'string' ? FORM.exec(cursor) : null;
  const rev = Number.parseInt(parts?.[2] ?? '', 36);
  if (parts === null || !Number.isSafeInteger(rev)) {
    throw failure(
      'invalid-argument',
      operation,
      `${JSON.stringify(cursor)} is no cursor; expected one that a store gave`,
    );
  }
  return { epoch: parts[1] as string, rev, id: parts[3] as string };
}

/** The error for a position from which a store cannot prove continuity. */
export function cursorExpired(operation: string, position: Position, why: string): StrataError {
  return failure(
    'cursor-expired',
    operation,
    `the cursor at revision ${position.rev} cannot be continued: ${why}`,
    { details: { why } },
  );
}

/**
 * Checks a position against what a store knows. `idOf(rev)` gives the id of a commit, or
 * `undefined` when it is no longer known.
 */
export function checkPosition(
  operation: string,
  after: Position,
  known: { readonly head: Position; readonly floor: number; idOf(rev: number): string | undefined },
): void {
  const { head } = known;
  if (after.epoch !== head.epoch)
    throw cursorExpired(operation, after, 'it belongs to another epoch of the store');
  if (after.rev > head.rev)
    throw cursorExpired(operation, after, `it is ahead of the head, ${head.rev}`);
  if (after.rev < known.floor)
    throw cursorExpired(operation, after, `it is below the floor, ${known.floor}`);
  const id = after.rev === 0 ? '' : after.rev === head.rev ? head.id : known.idOf(after.rev);
  if (id === undefined)
    throw cursorExpired(operation, after, 'the store no longer knows that commit');
  if (id !== after.id)
    throw cursorExpired(operation, after, 'the store has another commit at that revision');
}
