const NUMBER_BYTES = 8;
const STRING_BYTES = 16;
const OBJECT_BYTES = 48;
/** A place in an array. */
const PLACE_BYTES = 8;
/** A name in an object, a place in a map or set. */
const SLOT_BYTES = 16;
const BUFFER_BYTES = 96;

/**
 * Bytes of memory that a value takes, by estimate: 2 for each character of a string, the length of
 * byte arrays, 8 for a number, and some for every object, property and element. What cannot be looked
 * into counts as one object.
 */
export function valueBytes(value: unknown): number {
  if (typeof value === 'string') return STRING_BYTES + 2 * value.length;
  if (typeof value !== 'object' || value === null) return NUMBER_BYTES;
  try {
    return objectBytes(value);
  } catch {
    // A value held by reference may have getters that throw.
    return OBJECT_BYTES;
  }
}

/** Without recursion, since values may be nested deeply; each object once, since they may be cyclic. */
function objectBytes(root: object): number {
  const seen = new Set<object>([root]);
  const left: object[] = [root];
  let bytes = 0;
  const add = (part: unknown): void => {
    if (typeof part === 'string') bytes += STRING_BYTES + 2 * part.length;
    else if (typeof part !== 'object' || part === null) bytes += NUMBER_BYTES;
    else if (!seen.has(part)) {
      seen.add(part);
      left.push(part);
    }
  };
  for (let object = left.pop(); object !== undefined; object = left.pop()) {
    const own = ownBytes(object, add);
    bytes += own;
  }
  return bytes;
}

/** Bytes of an object without its parts, which `add` is given. */
function ownBytes(object: object, add: (part: unknown) => void): number {
  if (ArrayBuffer.isView(object)) return BUFFER_BYTES + object.byteLength;
  if (object instanceof ArrayBuffer) return BUFFER_BYTES + object.byteLength;
  if (Array.isArray(object)) {
    for (const part of object) add(part);
    return OBJECT_BYTES + PLACE_BYTES * object.length;
  }
  if (object instanceof Map) {
    for (const [name, part] of object) {
      add(name);
      add(part);
    }
    return OBJECT_BYTES + 2 * SLOT_BYTES * object.size;
  }
  if (object instanceof Set) {
    for (const part of object) add(part);
    return OBJECT_BYTES + SLOT_BYTES * object.size;
  }
  const parts: unknown[] = Object.values(object);
  for (const part of parts) add(part);
  return OBJECT_BYTES + SLOT_BYTES * parts.length;
}
