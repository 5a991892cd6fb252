import { StrataError } from '../../store/errors.ts';
import type { Head } from './head.ts';
import type { Tables } from './tables.ts';

/** The epochs of a store: each begins with a revision. */
export type Epochs = readonly (readonly [firstRev: number, epoch: string])[];

/** Layout of the tables. */
export const FORMAT = 1;
const STORE_KEY = 'store';
const EPOCHS_KEY = 'epochs';
/** The oldest epochs are let go; their revisions then count as the oldest known one's. */
const EPOCHS_KEPT = 1_000;

/** What a store is called, and the epochs of its history. */
export class History {
  readonly #tables: Tables;
  readonly #path: string;
  readonly storeId: string;
  #epochs: Epochs = [];
  #notedRev = -1;

  constructor(tables: Tables, path: string) {
    this.#tables = tables;
    this.#path = path;
    const { format, storeId } = this.#read(STORE_KEY) as { format?: unknown; storeId?: unknown };
    if (format !== FORMAT)
      throw new StrataError(
        'unsupported',
        `open: the store at ${path} has the format ${String(format)}; this version of the package reads ${FORMAT}`,
        { operation: 'open' },
      );
    if (typeof storeId !== 'string') throw this.#damaged(STORE_KEY);
    this.storeId = storeId;
    this.#load();
  }

  /** Takes note of a head: another process may have begun a new epoch. */
  note({ epoch, rev }: Pick<Head, 'epoch' | 'rev'>): void {
    if (epoch !== this.#epochs.at(-1)?.[1]) this.#load();
    this.#notedRev = rev;
  }

  /** Whether an epoch could have begun before a revision without being noted. */
  isBehind(rev: number): boolean {
    return rev > this.#notedRev;
  }

  epochOf(rev: number): string {
    const found = this.#epochs.findLast(([firstRev]) => firstRev <= rev) ?? this.#epochs[0];
    return found?.[1] ?? '';
  }

  /** Enters a new epoch, within a transaction. */
  begin(firstRev: number, epoch: string): void {
    this.#load();
    const epochs = [...this.#epochs, [firstRev, epoch] as const].slice(-EPOCHS_KEPT);
    writeEpochs(this.#tables, epochs);
  }

  #load(): void {
    const epochs = this.#read(EPOCHS_KEY);
    if (!Array.isArray(epochs) || epochs.length === 0) throw this.#damaged(EPOCHS_KEY);
    this.#epochs = epochs as Epochs;
  }

  #read(key: string): unknown {
    const bytes = this.#tables.meta.getBinary(key);
    if (bytes === undefined) throw this.#damaged(key);
    try {
      return JSON.parse(Buffer.from(bytes).toString());
    } catch (cause) {
      throw this.#damaged(key, cause);
    }
  }

  #damaged(key: string, cause?: unknown): StrataError {
    return new StrataError(
      'corrupt',
      `open: the store at ${this.#path} is damaged: its record ${key} is missing or unreadable`,
      { operation: 'open', cause },
    );
  }
}

/** Whether a store's records were ever written. */
export function hasHistory(tables: Tables): boolean {
  return tables.meta.getBinary(STORE_KEY) !== undefined;
}

/** Makes the records of a new store, within a transaction. */
export function createHistory(tables: Tables, storeId: string, epoch: string): void {
  void tables.meta.put(STORE_KEY, Buffer.from(JSON.stringify({ format: FORMAT, storeId })), 1);
  writeEpochs(tables, [[0, epoch]]);
}

function writeEpochs(tables: Tables, epochs: Epochs): void {
  void tables.meta.put(EPOCHS_KEY, Buffer.from(JSON.stringify(epochs)), 1);
}
