import type { Call } from '../../store/call.ts';
import { isStrataError } from '../../store/errors.ts';
import type { CommitOutcome, Primitives, SetWrite, Write } from '../../store/primitives.ts';
import type { SealedValues } from './sealed-values.ts';

type Bytes = Uint8Array;

/**
 * One commit with its values sealed. A seal never gives the same bytes twice, while a store knows
 * the repetition of an immutable entry by its bytes: what repeats one is therefore written as the
 * bytes that stand.
 */
export class SealedCommit {
  readonly #inner: Primitives<Bytes>;
  readonly #values: SealedValues;
  readonly #writes: readonly Write<Bytes>[];
  readonly #call: Call;
  /** Sealed bytes that stand, or that this commit writes, of immutable keys. */
  readonly #standing = new Map<string, { readonly plain: Bytes; readonly frozen: Bytes }>();

  /** Copies the values: the caller may change its own while they are sealed. */
  constructor(
    inner: Primitives<Bytes>,
    values: SealedValues,
    writes: readonly Write<Bytes>[],
    call: Call,
  ) {
    this.#inner = inner;
    this.#values = values;
    this.#call = call;
    this.#writes = writes.map((write) =>
      write.type === 'set' ? { ...write, value: new Uint8Array(write.value) } : write,
    );
  }

  async prepare(): Promise<readonly Write<Bytes>[]> {
    const frozen = await Promise.all(this.#writes.map((write) => this.#frozen(write)));
    await this.#lookUp();
    return this.#repeated(frozen);
  }

  async run(ready: readonly Write<Bytes>[]): Promise<CommitOutcome> {
    let writes = ready;
    for (;;) {
      try {
        return await this.#inner.commit(writes, this.#call);
      } catch (error) {
        const next = await this.#afterConflict(error, writes);
        if (next === undefined) throw error;
        writes = next;
      }
    }
  }

  /** What to write instead when somebody else wrote the same immutable content meanwhile. */
  async #afterConflict(
    error: unknown,
    writes: readonly Write<Bytes>[],
  ): Promise<readonly Write<Bytes>[] | undefined> {
    const whole = this.#inner.capabilities.atomic === 'batch' || writes.length === 1;
    if (!whole || !isStrataError(error, 'conflict') || !writes.some(isImmutable)) return undefined;
    await this.#lookUp();
    const next = this.#repeated(writes);
    this.#call.throwIfEnded();
    return next.some((write, at) => write !== writes[at]) ? next : undefined;
  }

  async #frozen(write: Write<Bytes>): Promise<Write<Bytes>> {
    if (write.type === 'delete') return write;
    const { key, value } = write;
    return { ...write, value: await this.#values.freeze(this.#call.operation, key, value) };
  }

  async #lookUp(): Promise<void> {
    const keys = [...new Set(this.#writes.filter(isImmutable).map(({ key }) => key))];
    if (keys.length === 0) return;
    const entries = await this.#inner.readMany(keys, this.#call);
    this.#standing.clear();
    await Promise.all(
      entries.map(async (entry) => {
        if (entry?.immutable !== true) return;
        const plain = await this.#values.thaw(this.#call.operation, entry.key, entry.value);
        this.#standing.set(entry.key, { plain, frozen: entry.value });
      }),
    );
  }

  /** The writes with the bytes that stand wherever they say the same. */
  #repeated(writes: readonly Write<Bytes>[]): readonly Write<Bytes>[] {
    const standing = new Map(this.#standing);
    return writes.map((write, at) => {
      const plain = this.#writes[at];
      if (!isImmutable(write) || plain?.type !== 'set') return write;
      const known = standing.get(write.key);
      if (known !== undefined && isEqual(known.plain, plain.value))
        return isEqual(known.frozen, write.value) ? write : { ...write, value: known.frozen };
      standing.set(write.key, { plain: plain.value, frozen: write.value });
      return write;
    });
  }
}

/** A set that repeats what stands when the value is the same; copies replace it instead. */
function isImmutable(write: Write<Bytes>): write is SetWrite<Bytes> {
  return write.type === 'set' && write.immutable === true && write.origin === undefined;
}

function isEqual(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
