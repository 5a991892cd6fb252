/** Sixteen bytes of a dump. */
export interface HexRow {
  readonly offset: string;
  readonly hex: string;
  readonly text: string;
}

const ROW_BYTES = 16;

/** The first `limit` bytes as rows of a dump: offset, hex in two halves, printable ASCII. */
export function hexRows(bytes: Uint8Array, limit: number): HexRow[] {
  const rows: HexRow[] = [];
  for (let at = 0; at < Math.min(bytes.length, limit); at += ROW_BYTES) {
    const part = bytes.subarray(at, Math.min(at + ROW_BYTES, bytes.length));
    const pairs = Array.from(part, (byte) => byte.toString(16).padStart(2, '0'));
    rows.push({
      offset: at.toString(16).padStart(8, '0'),
      hex: `${pairs.slice(0, 8).join(' ')}  ${pairs.slice(8).join(' ')}`,
      text: Array.from(part, (byte) =>
        byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·',
      ).join(''),
    });
  }
  return rows;
}

/** Bytes as hex for editing: pairs, sixteen a line. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(
    bytes,
    (byte, i) =>
      byte.toString(16).padStart(2, '0') +
      (i === bytes.length - 1 ? '' : i % ROW_BYTES === ROW_BYTES - 1 ? '\n' : ' '),
  ).join('');
}

/** Reads pairs of hex digits, blanks ignored; gives the reason where it is none. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> | string {
  const digits = text.replace(/\s+/g, '');
  const wrong = /[^0-9a-f]/i.exec(digits);
  if (wrong !== null) return `${JSON.stringify(wrong[0])} is no hex digit`;
  if (digits.length % 2 !== 0) return 'The last byte has one digit only';
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
