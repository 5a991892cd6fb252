/** How a Redis Cluster spreads keys: by a checksum of the key, or of what stands between its first braces. */

export const SLOTS = 16_384;

const OPEN = 0x7b;
const CLOSE = 0x7d;

/** CRC-16 with the polynomial 0x1021, from 0 (XMODEM). */
const TABLE: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) ^ (TABLE[(crc >> 8) ^ byte] as number)) & 0xffff;
  return crc;
}

/** The slot of a key. */
export function slotOf(key: Uint8Array): number {
  const open = key.indexOf(OPEN);
  const close = open === -1 ? -1 : key.indexOf(CLOSE, open + 1);
  const hashed = close > open + 1 ? key.subarray(open + 1, close) : key;
  return crc16(hashed) % SLOTS;
}

let tags: readonly string[] | undefined;

/**
 * A short text that stands for a slot: the first number in base 36 whose checksum gives it. Names
 * of stored keys hold it, so that it must never change.
 */
export function tagOf(slot: number): string {
  tags ??= makeTags();
  return tags[slot] as string;
}

function makeTags(): readonly string[] {
  const found = new Array<string>(SLOTS);
  const encoder = new TextEncoder();
  let missing = SLOTS;
  for (let n = 0; missing > 0; n++) {
    const text = n.toString(36);
    const slot = crc16(encoder.encode(text)) % SLOTS;
    if (found[slot] !== undefined) continue;
    found[slot] = text;
    missing--;
  }
  return found;
}
