/** Takes a frame of the sync protocol apart, field by field, for the documentation. */
import { MESSAGES, type MessageName } from '../../src/sync/protocol.ts';
import { ByteReader } from '../../src/sync/wire.ts';

/** Bytes in hexadecimal, and what they say. */
export type Annotation = readonly [hex: string, meaning: string];

const nameOf = (code: number): MessageName => {
  const found = Object.entries(MESSAGES).find(([, form]) => form.code === code);
  if (found === undefined) throw new Error(`no message has the code ${code}`);
  return found[0] as MessageName;
};

const text = (bytes: Uint8Array): string => JSON.stringify(new TextDecoder().decode(bytes));

class Annotator {
  readonly lines: Annotation[] = [];
  readonly #reader: ByteReader;

  constructor(bytes: Uint8Array) {
    this.#reader = new ByteReader(bytes);
  }

  get left(): number {
    return this.#reader.left;
  }

  read<T>(name: string, read: (reader: ByteReader) => T, show: (value: T) => string = String): T {
    const start = this.#reader.at;
    const value = read(this.#reader);
    const bytes = this.#reader.bytes.subarray(start, this.#reader.at);
    if (bytes.length > 0) this.lines.push([hex(bytes), `${name}: ${show(value)}`]);
    return value;
  }

  uint(name: string): number {
    return this.read(name, (reader) => reader.uint());
  }

  take(name: string, count: number, show: (bytes: Uint8Array) => string): void {
    this.read(name, (reader) => reader.take(count), show);
  }
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** Every byte of a frame, in order. */
export function annotate(frame: Uint8Array): readonly Annotation[] {
  const annotator = new Annotator(frame);
  const name = annotator.read('message', (reader) => nameOf(reader.byte()));
  for (const [field, type] of Object.entries(MESSAGES[name].fields)) {
    if (type === 'rest') rest(annotator, field);
    else if (type === 'text')
      annotator.read(
        field,
        (reader) => reader.text(),
        (value) => JSON.stringify(value),
      );
    else if (type === 'position')
      annotator.read(
        field,
        (reader) => reader.position(),
        (at) =>
          at === undefined ? 'none' : `epoch ${at.epoch}, rev ${at.rev}, id ${at.id || "''"}`,
      );
    else annotator.read<unknown>(field, (reader) => reader[type as 'uint']());
  }
  return annotator.lines;
}

function rest(annotator: Annotator, field: string): void {
  if (field === 'operations') {
    operations(annotator);
    return;
  }
  annotator.take(
    field,
    annotator.left,
    (bytes) => `${bytes.length} bytes, ${text(bytes).slice(0, 60)}`,
  );
}

function operations(annotator: Annotator): void {
  const count = annotator.uint('operations, count');
  const stamps = annotator.uint('stamps');
  for (let i = 0; i < stamps; i++) {
    annotator.read(`stamp ${i}, store`, (reader) => reader.text());
    annotator.read(`stamp ${i}, epoch`, (reader) => reader.text());
  }
  const lengths = ['blocks', 'numbers', 'texts', 'extras'].map((name) =>
    annotator.uint(`length of ${name}`),
  );
  annotator.take('flags', count, (bytes) => [...bytes].join(', '));
  const numbers = (bytes: Uint8Array): string => {
    const reader = new ByteReader(bytes);
    const found: number[] = [];
    while (reader.left > 0) found.push(reader.uint());
    return found.join(', ');
  };
  annotator.take('blocks', lengths[0] as number, numbers);
  annotator.take('numbers', lengths[1] as number, numbers);
  annotator.take('texts', lengths[2] as number, text);
  annotator.take('extras', lengths[3] as number, text);
  annotator.take('values', annotator.left, text);
}
