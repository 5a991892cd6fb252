/*
 * How a key becomes the name of its object: the bits of its UTF-8, six at a time, in an alphabet
 * whose characters stand in the order of ASCII. So names sort as the bytes of the keys do, no two
 * keys share one, and no endpoint has anything to escape, fold or normalize. 640 bytes give 854
 * characters, of the 1,024 that a name may have.
 */

const ALPHABET = '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz';
/** Sorts after every character of a name. */
const BEYOND = '~';
const VALUES: ReadonlyMap<string, number> = new Map(
  Array.from(ALPHABET, (char, value) => [char, value]),
);

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The name of a key's object. */
export function nameOf(key: string): string {
  let name = '';
  let held = 0;
  let bits = 0;
  for (const byte of encoder.encode(key)) {
    held = ((held << 8) | byte) & 0xffff;
    for (bits += 8; bits >= 6; ) {
      bits -= 6;
      name += ALPHABET[(held >> bits) & 63];
    }
  }
  return bits > 0 ? name + ALPHABET[(held << (6 - bits)) & 63] : name;
}

/** The key that goes by a name, or `undefined` for what is no name of ours. */
export function keyOf(name: string): string | undefined {
  const bytes = new Uint8Array(Math.floor((name.length * 6) / 8));
  let held = 0;
  let bits = 0;
  let at = 0;
  for (const char of name) {
    const value = VALUES.get(char);
    if (value === undefined) return undefined;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = held >> bits;
  }
  try {
    const key = decoder.decode(bytes);
    // Bits left over, or a character too many, would give a second name to a key.
    return nameOf(key) === name && key !== '' ? key : undefined;
  } catch {
    return undefined;
  }
}

/** A string that sorts right before a name: after all names below it. */
export function justBefore(name: string): string {
  const start = name.slice(0, -1);
  const value = VALUES.get(name.at(-1) ?? '') ?? 0;
  return value === 0 ? start : `${start}${ALPHABET[value - 1]}${BEYOND}`;
}
