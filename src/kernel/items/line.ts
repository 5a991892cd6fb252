import { versionText, WRITE_ID_BYTES } from '../../store/version.ts';

/** So many of the versions before it an item names. */
export const MOST_REPLACED = 8;

/** The line of an item that takes the place of one with this write id and this line. */
export function lineAfter(writeId: Uint8Array, line: Uint8Array): Uint8Array {
  const kept = line.subarray(0, (MOST_REPLACED - 1) * WRITE_ID_BYTES);
  const longer = new Uint8Array(writeId.length + kept.length);
  longer.set(writeId);
  longer.set(kept, writeId.length);
  return longer;
}

/** The write ids of a line as versions. */
export function versionsOf(line: Uint8Array): string[] {
  return Array.from({ length: line.length / WRITE_ID_BYTES }, (_, nth) =>
    versionText(line, nth * WRITE_ID_BYTES),
  );
}
