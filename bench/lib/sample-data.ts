/** Keys and values that every process of a benchmark can make, and so can check. */

/** A key of 16 bytes. */
export function makeKey(i: number): string {
  return `key:${i.toString().padStart(12, '0')}`;
}

/** The value of a key in one version: no two are alike. At least 16 bytes. */
export function makeValue(i: number, version: number, bytes: number): Uint8Array {
  const value = new Uint8Array(bytes);
  writeValue(value, i, version);
  return value;
}

function writeValue(into: Uint8Array, i: number, version: number): void {
  into.fill((i * 31 + version) & 0xff, 16);
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  view.setFloat64(0, i);
  view.setFloat64(8, version);
}

export function sameBytes(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

/** Throws unless it holds exactly `count` keys from 0 on, each in its version. */
export function verifyAll(
  held: { readonly size: number; get(key: string): Uint8Array | undefined },
  count: number,
  versionOf: (i: number) => number,
  bytes: number,
): void {
  if (held.size !== count) throw new Error(`${held.size} keys instead of ${count}`);
  const right = new Uint8Array(bytes);
  for (let i = 0; i < count; i++) {
    writeValue(right, i, versionOf(i));
    if (!sameBytes(held.get(makeKey(i)), right))
      throw new Error(`${makeKey(i)} is not in its version ${versionOf(i)}`);
  }
}
