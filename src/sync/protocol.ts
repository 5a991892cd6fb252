import type { Position } from '../store/primitives.ts';
import { ByteReader, ByteWriter, CLOSE, ProtocolError } from './wire.ts';

/*
 * The messages of replication and their byte forms. One message is one binary frame: a byte that
 * names the message, then its fields in the order written here.
 *
 *   uint      seven bits a byte, lowest first, the high bit on all but the last; below 2^53
 *   flag      one byte, 0 or 1
 *   text      length in bytes (uint), UTF-8
 *   position  flag; where set: epoch (text), rev (uint), id of that commit (text)
 *   rest      bytes to the end of the frame: `batch-operations.ts`, `writes.ts`,
 *             `range-messages.ts`, or a value's own
 *
 * Whoever changes what is here or in those files raises PROTOCOL_VERSION: a test holds a hash
 * of the forms and of sample frames against it.
 */

/** The version of the protocol spoken by this code. */
export const PROTOCOL_VERSION = 3;
/** The first version in which the server tells its terms, and writes are numbered by their writer. */
export const TERMS_VERSION = 3;
/** The first version in which ranges can be compared. */
export const RANGES_VERSION = 2;
/** The oldest version that this code still speaks. */
export const OLDEST_PROTOCOL_VERSION = 1;
/** Largest frame either side accepts. */
export const MAX_FRAME_BYTES: number = 1024 * 1024;
/** Largest first frame, from somebody not yet known. */
export const MAX_HELLO_BYTES: number = 16 * 1024;
/** Most writes that a subscriber may ask for at once. */
export const MAX_WRITES: number = 16 * 1024;
/** A server has at least so much under way before it waits for an ack; a subscriber acknowledges at least so often. */
export const LEAST_CREDIT_BYTES: number = 64 * 1024;
/** Values above this travel in pieces of this size; only the last may be smaller. */
export const MAX_PIECE_BYTES: number = 256 * 1024;

export const MESSAGES = {
  /** Subscriber: asks for a store; `cursor`, `sourceId` and `scope` are what its copy was left at. */
  hello: {
    code: 1,
    fields: {
      oldestVersion: 'uint',
      newestVersion: 'uint',
      storeId: 'text',
      token: 'text',
      prefix: 'text',
      clientId: 'text',
      sourceId: 'text',
      scope: 'text',
      cursor: 'position',
      creditBytes: 'uint',
    },
  },
  /** Server: the subscription stands. `fresh` when a snapshot follows, else changes since the cursor. */
  ready: {
    code: 2,
    fields: {
      version: 'uint',
      sourceId: 'text',
      fresh: 'flag',
      head: 'position',
      scope: 'text',
      codec: 'text',
      mayWrite: 'flag',
      heartbeatMs: 'uint',
      nowMs: 'uint',
    },
  },
  /** Server: part of a group. Part 0 begins one; the part with `end` completes it. Nothing of a group counts before. */
  batch: {
    code: 3,
    fields: { fresh: 'flag', from: 'uint', part: 'uint', end: 'position', operations: 'rest' },
  },
  /** Either side: bytes of a value too large for one frame, whose operation follows. */
  piece: { code: 4, fields: { offset: 'uint', bytes: 'rest' } },
  /** Subscriber: everything up to `rev` is durable here, and so many bytes of batches and pieces were taken in. */
  ack: { code: 5, fields: { rev: 'uint', bytes: 'uint' } },
  /** Server: it lives, and the source's head is at `rev`. Answered by an ack. */
  live: { code: 6, fields: { rev: 'uint' } },
  /** Subscriber: how it fares; an error code while its own store fails, else empty. */
  status: { code: 7, fields: { code: 'text' } },
  /** Subscriber: writes for the source, `last` on the frame that completes them. */
  write: { code: 8, fields: { id: 'uint', last: 'flag', writes: 'rest' } },
  /** Server: the writes `id` are done, as commit `rev`; 0 when nothing changed. */
  result: { code: 9, fields: { id: 'uint', rev: 'uint', outcomes: 'rest' } },
  /** Server: the writes `id` failed, or with id 0 the subscription. `rev` is the head then, for who lost a condition. */
  error: {
    code: 10,
    fields: {
      id: 'uint',
      code: 'text',
      retryable: 'flag',
      rev: 'uint',
      key: 'text',
      message: 'text',
    },
  },
  /** Server: it is about to close; come back after a random part of `spreadMs`. */
  goaway: { code: 11, fields: { spreadMs: 'uint' } },
  /** Either side, from version 2 on: a step of the comparison of ranges, between `ready` and the first batch. */
  range: { code: 12, fields: { body: 'rest' } },
  /**
   * Server, from version 3 on: what writes may do, after `ready` and whenever that changes. With
   * `keepsResults` a write may be asked for again; `resultsAt` is where the history of the store
   * that keeps them stands.
   */
  terms: {
    code: 13,
    fields: { mayWrite: 'flag', writeBytes: 'uint', keepsResults: 'flag', resultsAt: 'position' },
  },
  /**
   * Subscriber, from version 3 on: the write that follows is number `sequence` of `writer`, and was
   * asked for before (`again`) or not; first when the history was at `since`. With `existence` its
   * outcome must say which keys existed.
   */
  attempt: {
    code: 14,
    fields: {
      writer: 'text',
      sequence: 'uint',
      again: 'flag',
      existence: 'flag',
      since: 'position',
    },
  },
} as const;

interface FieldValues {
  uint: number;
  flag: boolean;
  text: string;
  position: Position | undefined;
  rest: Uint8Array;
}

type Forms = typeof MESSAGES;
export type MessageName = keyof Forms;
type FieldsOf<N extends MessageName> = Forms[N]['fields'];

/** A message of one kind, decoded. */
export type MessageOf<N extends MessageName> = { readonly type: N } & {
  readonly [F in keyof FieldsOf<N>]: FieldsOf<N>[F] extends keyof FieldValues
    ? FieldValues[FieldsOf<N>[F]]
    : never;
};

export type Message = { [N in MessageName]: MessageOf<N> }[MessageName];

type FieldType = keyof FieldValues;
interface Form {
  readonly name: MessageName;
  readonly fields: readonly (readonly [name: string, type: FieldType])[];
}

const byCode: (Form | undefined)[] = [];
for (const [name, { code, fields }] of Object.entries(MESSAGES))
  byCode[code] = { name: name as MessageName, fields: Object.entries(fields) };

const scratch = new ByteWriter(1024);

/** Something that writes itself at a place: the `rest` of a frame, made without a copy. */
export interface Rest {
  readonly byteLength: number;
  writeInto(bytes: Uint8Array, at: number): void;
}

/** The frame of a message. `rest` stands for a field of that type, where its bytes exist only in parts. */
export function encodeMessage(message: Message, rest?: Rest): Uint8Array {
  const form = byCode[MESSAGES[message.type].code] as Form;
  scratch.clear();
  scratch.byte(MESSAGES[message.type].code);
  let tail: Uint8Array | undefined;
  for (const [name, type] of form.fields) {
    const value = (message as unknown as Record<string, unknown>)[name];
    if (type === 'uint') scratch.uint(value as number);
    else if (type === 'text') scratch.text(value as string);
    else if (type === 'flag') scratch.byte(value === true ? 1 : 0);
    else if (type === 'position') scratch.position(value as Position | undefined);
    else tail = value as Uint8Array;
  }
  const length = scratch.length + (rest?.byteLength ?? tail?.length ?? 0);
  const frame = new Uint8Array(length);
  frame.set(scratch.view());
  if (rest !== undefined) rest.writeInto(frame, scratch.length);
  else if (tail !== undefined) frame.set(tail, scratch.length);
  return frame;
}

/** Reads a frame; its byte fields are views of it. Anything but a well-formed message is a `ProtocolError`. */
export function decodeMessage(frame: Uint8Array): Message {
  if (frame.length > MAX_FRAME_BYTES)
    throw new ProtocolError(CLOSE.tooBig, `a frame has ${frame.length} bytes`);
  const reader = new ByteReader(frame);
  const code = reader.byte();
  const form = byCode[code];
  if (form === undefined)
    throw new ProtocolError(CLOSE.protocol, `no message has the code ${code}`);
  const message: Record<string, unknown> = { type: form.name };
  for (const [name, type] of form.fields) message[name] = reader[type]();
  reader.finish();
  return message as unknown as Message;
}
