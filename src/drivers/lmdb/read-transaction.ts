import type { RangeOptions, RootDatabase, Transaction } from 'lmdb';
import * as binding from 'lmdb';

/** Ends what a read transaction sees; the next read through it begins anew. Part of the binding, though not of its types. */
type ResetTxn = (address: number) => void;

const { nativeAddon } = binding as unknown as { readonly nativeAddon?: { resetTxn?: ResetTxn } };
const resetTxn = nativeAddon?.resetTxn;

/**
 * A read transaction of our own, one for all reads. The binding's is renewed by a timer, and each
 * renewal by hand leaves a timer behind: reads that follow each other without a pause would see an
 * old state, or pile up timers.
 */
export class ReadTransaction {
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #own: (Transaction & { readonly address: number }) | undefined;
  /** To be given to each read. */
  readonly options: Pick<RangeOptions, 'transaction'>;
  #closed = false;

  constructor(root: RootDatabase<Buffer, Buffer>) {
    this.#root = root;
    if (resetTxn !== undefined)
      this.#own = root.useReadTransaction() as Transaction & { readonly address: number };
    this.options = this.#own === undefined ? {} : { transaction: this.#own };
    this.reset();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Lets go the moment that was read; the next read sees everything committed by then. */
  reset(): void {
    if (this.#closed) return;
    if (this.#own === undefined) this.#root.resetReadTxn();
    else resetTxn?.(this.#own.address);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#own?.done();
  }
}
