import type { Change, Entry } from '../../store/entry.ts';
import { failure, isStrataError, type StrataErrorCode } from '../../store/errors.ts';
import { RESERVED_PREFIX } from '../../store/keys.ts';
import type { Primitives } from '../../store/primitives.ts';
import type { Seal } from './seal.ts';

type Bytes = Uint8Array;

/** The two directions of a seal, with errors that say which key of which call they concern. */
export class SealedValues {
  readonly #inner: Primitives<Bytes>;
  readonly #seal: Seal;
  readonly #storeId: string;

  constructor(inner: Primitives<Bytes>, seal: Seal, storeId: string) {
    this.#inner = inner;
    this.#seal = seal;
    this.#storeId = storeId;
  }

  async freeze(operation: string, key: string, bytes: Bytes): Promise<Bytes> {
    let frozen: Bytes;
    try {
      frozen = await this.#seal.freeze(bytes, { key, storeId: this.#storeId });
    } catch (cause) {
      throw told(operation, key, 'sealed', 'invalid-argument', cause);
    }
    const { maxValueBytes } = this.#inner.capabilities;
    if (maxValueBytes !== undefined && frozen.length > maxValueBytes)
      throw failure(
        'invalid-argument',
        operation,
        `the value of ${JSON.stringify(key)} has ${frozen.length} bytes when sealed; expected at most ${maxValueBytes}`,
        { key },
      );
    this.#inner.checkValue?.(operation, key, frozen);
    return frozen;
  }

  async thaw(operation: string, key: string, stored: Bytes): Promise<Bytes> {
    try {
      return await this.#seal.thaw(stored, { key, storeId: this.#storeId });
    } catch (cause) {
      throw told(operation, key, 'opened', 'corrupt', cause);
    }
  }

  async entry(operation: string, entry: Entry<Bytes>): Promise<Entry<Bytes>> {
    return { ...entry, value: await this.thaw(operation, entry.key, entry.value) };
  }

  /** Without reserved keys that do not open: what the store inside keeps for itself. */
  async changes(operation: string, changes: readonly Change<Bytes>[]): Promise<Change<Bytes>[]> {
    const opened = await Promise.all(
      changes.map(async (change): Promise<Change<Bytes> | undefined> => {
        if (change.type === 'delete') return change;
        try {
          const value = await this.thaw(operation, change.key, change.value);
          return { ...change, value };
        } catch (error) {
          if (!change.key.startsWith(RESERVED_PREFIX)) throw error;
          return undefined;
        }
      }),
    );
    return opened.filter((change) => change !== undefined);
  }
}

function told(
  operation: string,
  key: string,
  done: 'sealed' | 'opened',
  otherwise: StrataErrorCode,
  cause: unknown,
): Error {
  const code = isStrataError(cause) ? cause.code : otherwise;
  const why = cause instanceof Error ? cause.message : String(cause);
  return failure(code, operation, `the value of ${JSON.stringify(key)} cannot be ${done}: ${why}`, {
    key,
    cause,
  });
}
