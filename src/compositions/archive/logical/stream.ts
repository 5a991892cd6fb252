import { type ByteReader, type ByteWriter, damaged } from './bytes.ts';

/** An id as Redis writes it: `ms-sequence`, two whole numbers of 64 bits. */
export type StreamId = string;

/** A stream with its consumer groups. */
export interface StreamValue {
  readonly type: 'stream';
  readonly lastId: StreamId;
  readonly maxDeletedId: StreamId;
  /** Entries that were ever added. */
  readonly entriesAdded: number;
  readonly entries: readonly StreamEntry[];
  readonly groups: readonly StreamGroup[];
}

/** An entry: fields and values in turn. */
export interface StreamEntry {
  readonly id: StreamId;
  readonly words: readonly Uint8Array[];
}

/** A consumer group. */
export interface StreamGroup {
  readonly name: Uint8Array;
  readonly lastId: StreamId;
  /** Undefined where the server does not know it. */
  readonly entriesRead: number | undefined;
  readonly consumers: readonly StreamConsumer[];
}

/** A consumer, with what was delivered to it and not acknowledged. */
export interface StreamConsumer {
  readonly name: Uint8Array;
  readonly pending: readonly PendingEntry[];
}

/** An entry that was delivered. The stream may have it no more. */
export interface PendingEntry {
  readonly id: StreamId;
  /** In ms since 1970. */
  readonly deliveredAt: number;
  readonly deliveries: number;
}

export function writeStream(to: ByteWriter, stream: StreamValue): void {
  writeId(to, stream.lastId);
  writeId(to, stream.maxDeletedId);
  to.count(stream.entriesAdded);
  to.count(stream.entries.length);
  for (const { id, words } of stream.entries) {
    writeId(to, id);
    to.count(words.length);
    for (const word of words) to.bytes(word);
  }
  to.count(stream.groups.length);
  for (const group of stream.groups) writeGroup(to, group);
}

function writeGroup(to: ByteWriter, { name, lastId, entriesRead, consumers }: StreamGroup): void {
  to.bytes(name);
  writeId(to, lastId);
  to.count(entriesRead === undefined ? 0 : entriesRead + 1);
  to.count(consumers.length);
  for (const consumer of consumers) {
    to.bytes(consumer.name);
    to.count(consumer.pending.length);
    for (const { id, deliveredAt, deliveries } of consumer.pending) {
      writeId(to, id);
      to.count(deliveredAt);
      to.count(deliveries);
    }
  }
}

export function readStream(from: ByteReader): StreamValue {
  return {
    type: 'stream',
    lastId: readId(from),
    maxDeletedId: readId(from),
    entriesAdded: from.count(),
    entries: from.list(() => readEntry(from)),
    groups: from.list(() => readGroup(from)),
  };
}

function readEntry(from: ByteReader): StreamEntry {
  const id = readId(from);
  const words = from.list(() => from.bytes());
  if (words.length === 0 || words.length % 2 === 1) throw damaged('an entry has no pairs');
  return { id, words };
}

function readGroup(from: ByteReader): StreamGroup {
  const name = from.bytes();
  const lastId = readId(from);
  const read = from.count();
  const pending = (): PendingEntry => ({
    id: readId(from),
    deliveredAt: from.count(),
    deliveries: from.count(),
  });
  return {
    name,
    lastId,
    entriesRead: read === 0 ? undefined : read - 1,
    consumers: from.list(() => ({ name: from.bytes(), pending: from.list(pending) })),
  };
}

function writeId(to: ByteWriter, id: StreamId): void {
  const [ms, sequence] = idParts(id);
  to.long(ms);
  to.long(sequence);
}

function readId(from: ByteReader): StreamId {
  return `${from.long()}-${from.long()}`;
}

function idParts(id: StreamId): [bigint, bigint] {
  const dash = id.indexOf('-');
  return [BigInt(id.slice(0, dash)), BigInt(id.slice(dash + 1))];
}

/** In the order of streams. */
export function compareIds(a: StreamId, b: StreamId): number {
  const [aMs, aSequence] = idParts(a);
  const [bMs, bSequence] = idParts(b);
  if (aMs !== bMs) return aMs < bMs ? -1 : 1;
  return aSequence === bSequence ? 0 : aSequence < bSequence ? -1 : 1;
}
