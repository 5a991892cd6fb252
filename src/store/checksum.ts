/** CRC-32 (IEEE 802.3) of bytes, as an unsigned number. */
export type Checksum = (bytes: Uint8Array) => number;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** The portable form; drivers on Node pass `zlib.crc32`, which is faster and gives the same. */
export const crc32: Checksum = (bytes) => {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++)
    crc = (TABLE[(crc ^ (bytes[i] as number)) & 255] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
};
