/** Beside its content, for anything that is an object. */
const OBJECT_BYTES = 32;
/** More is not looked at: the value may be cyclic. */
const MAX_PARTS = 100_000;

/** About how much memory a value takes: for bounds where it is not encoded. */
export function approximateBytes(value: unknown): number {
  const left: unknown[] = [value];
  let bytes = 0;
  for (let parts = 0; parts < MAX_PARTS && left.length > 0; parts++) {
    const part = left.pop();
    if (typeof part === 'string') bytes += 2 * part.length;
    else if (typeof part !== 'object' || part === null) bytes += 8;
    else {
      bytes += OBJECT_BYTES;
      if (part instanceof ArrayBuffer || ArrayBuffer.isView(part)) bytes += part.byteLength;
      else for (const inner of partsOf(part)) left.push(inner);
    }
  }
  return bytes;
}

function partsOf(value: object): Iterable<unknown> {
  if (value instanceof Map || value instanceof Set || Array.isArray(value)) return value;
  return Object.entries(value).flat();
}
