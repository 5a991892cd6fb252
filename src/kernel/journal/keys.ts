import { crc32 } from '../../store/checksum.ts';
import { RESERVED_PREFIX } from '../../store/keys.ts';

const SEQ_DIGITS = 16;
const PART_DIGITS = 6;

const encoder = new TextEncoder();

/** Where a journal keeps its things, under the reserved keys of its store. */
export class JournalKeys {
  /** Who owns it. */
  readonly owner: string;
  /** Its id and epoch. */
  readonly state: string;
  /** Under this and a claim stands that the claim is over. */
  readonly taken: string;
  /** Under this and a number stands a record. */
  readonly records: string;
  /** Under this and a number stands what was a record and cannot be read. */
  readonly damaged: string;
  readonly deadLetters: string;

  /** `name` tells the journals of one store apart. */
  constructor(name: string) {
    const prefix = `${RESERVED_PREFIX}journal/${name}/`;
    this.owner = `${prefix}owner`;
    this.state = `${prefix}state`;
    this.taken = `${prefix}taken/`;
    this.records = `${prefix}record/`;
    this.damaged = `${prefix}damaged/`;
    this.deadLetters = `${prefix}dead/`;
  }

  /** Where a record stands: in the order of the numbers. */
  record(seq: number): string {
    return this.records + String(seq).padStart(SEQ_DIGITS, '0');
  }
}

/** Where the parts of a document stand that is too long for one entry; the first has the key itself. */
export function partKey(key: string, part: number): string {
  return part === 0 ? key : `${key}/${String(part).padStart(PART_DIGITS, '0')}`;
}

/** To which document a key belongs, and as which part. */
export function parsePart(key: string): { readonly key: string; readonly part: number } {
  const match = /\/(\d{6})$/.exec(key);
  return match === null
    ? { key, part: 0 }
    : { key: key.slice(0, match.index), part: Number(match[1]) };
}

/** Names the dead letter of a write: the same write has the same. */
export function deadLetterId({
  key,
  version,
}: {
  readonly key: string;
  readonly version: string;
}): string {
  return `${version}/${crc32(encoder.encode(key)).toString(16).padStart(8, '0')}`;
}
