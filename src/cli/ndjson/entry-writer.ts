import { Call } from '../../store/call.ts';
import { toSetWrite } from '../../store/checks.ts';
import type { Meta } from '../../store/entry.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { CallOptions } from '../../store/operations.ts';
import type { Primitives, SetWrite } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';

/** An entry on its way from elsewhere: what is its own stays, version and revision are given anew. */
export interface IncomingEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly expiresAt?: number;
  readonly meta?: Meta;
  readonly immutable?: true;
  readonly modifiedAt?: number;
}

/** A batch is full at so many entries or bytes. */
const BATCH_ENTRIES = 1_000;
const BATCH_BYTES = 2 * 1024 * 1024;
/** What an entry weighs beside its value. */
const ENTRY_BYTES = 200;

export interface EntryWriterOptions {
  readonly operation: string;
  readonly bounds: CallOptions;
  /** Keeps everything for one commit at the end. Default false: batches, one on its way while the next is filled. */
  readonly whole?: boolean;
}

/**
 * Writes entries with their metadata, expiry and times, which is what the public `set` would not
 * keep. Entries already expired are passed over. Holds two batches at most.
 */
export class EntryWriter {
  readonly #primitives: Primitives<Uint8Array>;
  readonly #options: EntryWriterOptions;
  #batch: SetWrite<Uint8Array>[] = [];
  #batchBytes = 0;
  #underWay: { readonly count: number; readonly done: Promise<unknown> } | undefined;
  #written = 0;
  #expired = 0;

  constructor(store: Store<Uint8Array>, options: EntryWriterOptions) {
    this.#primitives = primitivesOf(store, options.operation);
    this.#options = options;
  }

  /** Entries acknowledged by the store. */
  get written(): number {
    return this.#written;
  }

  /** Entries that were passed over because their time had passed. */
  get expired(): number {
    return this.#expired;
  }

  /** Checks an entry. Errors: `invalid-argument`, `unsupported`; nothing of it is kept then. */
  check(entry: IncomingEntry): SetWrite<Uint8Array> {
    const { key, value, modifiedAt, immutable, expiresAt, meta } = entry;
    const options = {
      ...(expiresAt !== undefined && { expiresAt }),
      ...(meta !== undefined && { meta }),
      ...(immutable === true && { immutable }),
    };
    const write = toSetWrite(this.#primitives, this.#options.operation, key, value, options);
    return modifiedAt === undefined ? write : { ...write, modifiedAt };
  }

  /** Takes an entry that `check` passed; waits while two batches are full. */
  async add(write: SetWrite<Uint8Array>): Promise<void> {
    if (write.expiresAt !== undefined && write.expiresAt <= this.#primitives.env.now()) {
      this.#expired++;
      return;
    }
    this.#batch.push(write);
    this.#batchBytes += write.value.length + ENTRY_BYTES;
    const full = this.#batch.length >= BATCH_ENTRIES || this.#batchBytes >= BATCH_BYTES;
    if (full && this.#options.whole !== true) await this.#send();
  }

  /** Writes what is left and waits until everything is acknowledged. */
  async finish(): Promise<void> {
    if (this.#batch.length > 0) await this.#send();
    await this.#settle();
  }

  async #send(): Promise<void> {
    // In order: a key that comes twice must end with its later value.
    await this.#settle();
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    const done = this.#commit(batch);
    // A failure is met at the next `#settle`, not as an unhandled rejection before it.
    done.catch(() => undefined);
    this.#underWay = { count: batch.length, done };
  }

  async #settle(): Promise<void> {
    const underWay = this.#underWay;
    this.#underWay = undefined;
    if (underWay === undefined) return;
    await underWay.done;
    this.#written += underWay.count;
  }

  async #commit(batch: readonly SetWrite<Uint8Array>[]): Promise<void> {
    const { env, timeoutMs } = this.#primitives;
    const { operation, bounds, whole } = this.#options;
    const call = new Call(
      env,
      operation,
      undefined,
      bounds,
      whole === true ? Number.POSITIVE_INFINITY : timeoutMs,
    );
    call.throwIfEnded();
    const done = this.#primitives.commit(batch, call);
    if (done instanceof Promise) await call.guard(done);
  }
}
