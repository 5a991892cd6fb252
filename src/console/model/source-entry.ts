import type { Entry, EntryHead } from '../../store/entry.ts';

/** An entry as the source has it: its version and revision there, not those of the copy. */
export interface SourceEntry extends Omit<EntryHead, 'origin'> {
  readonly value: Uint8Array;
}

export function sourceEntry({ origin, ...entry }: Entry<Uint8Array>): SourceEntry {
  return origin === undefined ? entry : { ...entry, version: origin.version, rev: origin.rev };
}
