/** What is inside a cold object of an archive, when it is opened. */
interface Inside {
  readonly described: Readonly<Record<string, unknown>>;
  readonly payload: Uint8Array;
}

/** An opened object with something else inside; its key and its logical form stay. */
export function changedObject(
  object: Uint8Array,
  change: (inside: Inside) => Partial<Inside>,
): Uint8Array {
  const bytes = Buffer.from(object);
  const keyAt = 4 + bytes.readUInt32BE(0);
  const described = JSON.parse(bytes.subarray(4, keyAt).toString());
  const payloadAt = keyAt + described.keyBytes;
  const end = payloadAt + described.payloadBytes;
  const inside = { described, payload: Uint8Array.from(bytes.subarray(payloadAt, end)) };
  const { payload, ...now } = { ...inside, ...change(inside) };
  const payloadBytes = payload.length;
  const head = Buffer.from(JSON.stringify({ ...now.described, payloadBytes }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  const key = bytes.subarray(keyAt, payloadAt);
  return Buffer.concat([length, head, key, payload, bytes.subarray(end)]);
}
