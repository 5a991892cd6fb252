/** CRC-32 (IEEE 802.3) of bytes, as an unsigned number. */
export type Checksum = (bytes: Uint8Array) => number;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
const followed = (table: Uint32Array): Uint32Array =>
  table.map((crc) => (crc >>> 8) ^ (TABLE[crc & 255] as number));
/** What a byte adds when one, two or three others follow it. */
const BEFORE_1 = followed(TABLE);
const BEFORE_2 = followed(BEFORE_1);
const BEFORE_3 = followed(BEFORE_2);

/**
 * The portable form; drivers on Node pass `zlib.crc32`, which is faster and gives the same. With the
 * sum of what comes before, that of both.
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  const fours = bytes.length & ~3;
  let crc = ~before;
  let at = 0;
  for (; at < fours; at += 4) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc =
      (BEFORE_3[crc & 255] as number) ^
      (BEFORE_2[(crc >>> 8) & 255] as number) ^
      (BEFORE_1[(crc >>> 16) & 255] as number) ^
      (TABLE[crc >>> 24] as number);
  }
  for (; at < bytes.length; at++)
    crc = (TABLE[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}
