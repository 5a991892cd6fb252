import type { EntryHead } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { encodeEnvelope } from '../../store/feed/envelope.ts';
import type { SetWrite, Write } from '../../store/primitives.ts';
import type { WriteIds } from '../../store/version.ts';
import { COMMIT_ID_LENGTH } from './lua/prelude.ts';
import type { RedisWord } from './port.ts';
import { io } from './records.ts';

/** Latest time an envelope can carry. */
const MAX_TIME = 2 ** 48 - 1;
/** Digits of an expiry in a head. */
const EXPIRY_DIGITS = 15;
/** Redis takes a million arguments in one command; a write has at most four. */
const MAX_WRITES = 250_000;
/** Of all values of a commit. */
const MAX_BYTES = 500 * 1024 * 1024;
/** Randomness of commit ids is drawn in bulk: so many characters, of 6 bits each. */
const POOL_LENGTH = 512 * COMMIT_ID_LENGTH;

/** A head while its revision is not known yet. */
export type NewHead = { -readonly [K in keyof EntryHead]: EntryHead[K] };

/** A commit as its script takes it. */
export interface EncodedCommit {
  /** Its id, and what its writes are. */
  readonly header: string;
  readonly args: readonly RedisWord[];
  /** One a write; absent for deletes. */
  readonly heads: readonly (NewHead | undefined)[];
  readonly bytes: number;
}

interface EncodedSet {
  /** Kind, expiry and version: the head without its revision. */
  readonly described: string;
  readonly envelope: Buffer;
  readonly head: NewHead;
}

/** Turns writes into arguments, giving each its version. The revision comes from the script and is kept beside the envelope. */
export class CommitEncoder {
  readonly #env: Env;
  readonly #ids: WriteIds;
  #pool = '';
  #poolAt = 0;

  constructor(env: Env, ids: WriteIds) {
    this.#env = env;
    this.#ids = ids;
  }

  encode(writes: readonly Write<Uint8Array>[], operation: string): EncodedCommit {
    if (writes.length > MAX_WRITES)
      throw tooLarge(operation, `${writes.length} writes`, MAX_WRITES);
    const nowMs = this.#env.now();
    const only = writes.length === 1 ? writes[0] : undefined;
    if (only?.type === 'set' && only.if === undefined) {
      const { described, envelope, head } = this.#encodeSet(only, nowMs);
      const header = `${this.#commitId()}*1`;
      return { header, args: [described, envelope], heads: [head], bytes: envelope.length };
    }
    const heads: (NewHead | undefined)[] = [];
    const args: RedisWord[] = [];
    let letters = '';
    let bytes = 0;
    for (const write of writes) {
      const condition = write.if;
      const plain = condition === undefined;
      if (!plain) args.push(condition === 'absent' ? 'a' : `=${condition.version}`);
      if (write.type === 'set') {
        const { described, envelope, head } = this.#encodeSet(write, nowMs);
        letters += plain ? 's' : 'S';
        args.push(described, envelope);
        heads.push(head);
        bytes += envelope.length;
      } else {
        letters += plain ? 'd' : 'D';
        heads.push(undefined);
      }
    }
    if (bytes > MAX_BYTES) throw tooLarge(operation, `${bytes} bytes`, MAX_BYTES);
    const kind = isPlain(writes) ? `*${writes.length}` : letters;
    return { header: this.#commitId() + kind, args, heads, bytes };
  }

  #encodeSet(write: SetWrite<Uint8Array>, nowMs: number): EncodedSet {
    const writeId = this.#ids.next();
    const { key, expiresAt, immutable, meta, origin, modifiedAt = nowMs } = write;
    const version = this.#ids.text(writeId);
    const head: NewHead = { key, version, rev: 0, modifiedAt };
    const envelope = encodeEnvelope(
      io,
      {
        rev: 0,
        pos: 0,
        modifiedAt,
        expiresAt,
        immutable,
        meta,
        origin,
        writeId: (into, offset) => this.#ids.write(writeId, into, offset),
      },
      write.value,
    ) as Buffer;
    // The flags of the envelope, as one printable character.
    const kind = String.fromCharCode(48 + (envelope[5] as number));
    if (immutable) head.immutable = true;
    if (meta !== undefined) head.meta = meta;
    if (origin !== undefined) head.origin = origin;
    if (expiresAt === undefined) return { described: kind + version, envelope, head };
    head.expiresAt = expiresAt;
    const digits = String(Math.min(Math.floor(expiresAt), MAX_TIME));
    return { described: kind + digits.padStart(EXPIRY_DIGITS, '0') + version, envelope, head };
  }

  /** 66 random bits. */
  #commitId(): string {
    if (this.#poolAt >= this.#pool.length) {
      const bytes = this.#env.randomBytes((POOL_LENGTH / 4) * 3);
      this.#pool = Buffer.from(bytes).toString('base64url');
      this.#poolAt = 0;
    }
    this.#poolAt += COMMIT_ID_LENGTH;
    return this.#pool.slice(this.#poolAt - COMMIT_ID_LENGTH, this.#poolAt);
  }
}

/** Whether there is nothing but sets without conditions, all of different keys. */
function isPlain(writes: readonly Write<Uint8Array>[]): boolean {
  const keys = new Set<string>();
  for (const { type, key, if: condition } of writes) {
    if (type !== 'set' || condition !== undefined) return false;
    keys.add(key);
  }
  return keys.size === writes.length;
}

function tooLarge(operation: string, what: string, most: number): StrataError {
  return new StrataError(
    'invalid-argument',
    `${operation}: the batch has ${what}; expected at most ${most}`,
    { operation },
  );
}
