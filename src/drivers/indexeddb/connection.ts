import { openDB, unwrap } from 'idb';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { isLost, toFailure } from './failure.ts';
import { isDomException } from './requests.ts';
import { createSchema, hasSchema, SCHEMA_VERSION } from './schema.ts';

export interface ConnectionOptions {
  readonly name: string;
  readonly env: Env;
  /** How long a call waits for the database to open, in ms. */
  readonly openTimeoutMs: number;
  /** Default ours; tests lay out later ones. */
  readonly version?: number;
  /** Last step of opening, before anybody gets the database. */
  prepare(db: IDBDatabase): Promise<void>;
  /** The database was closed under us: nothing that is remembered of it holds any more. */
  onLost(): void;
}

/**
 * The connection to a database: opened when first needed, given up when another tab wants to
 * upgrade or delete the database, and opened anew when the browser closed it.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  #db: IDBDatabase | undefined;
  #opening: Promise<IDBDatabase> | undefined;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Does work that may be repeated: on the open database, without a detour through a promise, or
   * once more when that one turns out to be lost.
   */
  async run<T>(
    operation: string,
    key: string | undefined,
    work: (db: IDBDatabase) => Promise<T>,
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      const db = this.#db ?? (await this.open(operation));
      try {
        return await work(db);
      } catch (error) {
        if (tries > 1 || !isLost(error)) throw toFailure(error, operation, key);
        this.drop(db);
      }
    }
  }

  /** The open database. Errors: `closed`; `unavailable` when others keep it from opening; `invalid-argument` when it is none of ours. */
  async open(operation: string): Promise<IDBDatabase> {
    if (this.#closed)
      throw new StrataError('closed', `${operation}: the store is closed`, { operation });
    if (this.#db !== undefined) return this.#db;
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined;
    });
    try {
      return await this.#soon(this.#opening);
    } catch (error) {
      throw toFailure(error, operation);
    }
  }

  /** Gives a connection up; the next call opens another. */
  drop(db: IDBDatabase): void {
    db.close();
    if (this.#db !== db) return;
    this.#db = undefined;
    this.#options.onLost();
  }

  /** Transactions under way still come to their end. */
  close(): void {
    this.#closed = true;
    this.#db?.close();
    this.#db = undefined;
  }

  async #connect(): Promise<IDBDatabase> {
    const { name, env, version = SCHEMA_VERSION } = this.#options;
    if (typeof indexedDB === 'undefined')
      throw new StrataError('unsupported', 'open: there is no IndexedDB here', {
        operation: 'open',
      });
    let raw: IDBDatabase | undefined;
    const lost = (): void => {
      if (raw !== undefined) this.drop(raw);
    };
    try {
      const opened = await openDB(name, version, {
        upgrade: (db, oldVersion, _, tx) => {
          if (oldVersion === 0) createSchema(unwrap(db), unwrap(tx), env);
        },
        // Another tab upgrades or deletes the database: whoever stays open would block it.
        blocking: lost,
        terminated: lost,
      });
      raw = unwrap(opened);
      if (!hasSchema(raw)) throw this.#foreign();
      await this.#options.prepare(raw);
    } catch (error) {
      raw?.close();
      throw isDomException(error, 'VersionError') ? await this.#newer() : error;
    }
    if (this.#closed) raw.close();
    else this.#db = raw;
    return raw;
  }

  /** Waits for an opening, which goes on for later calls when this one gives up. */
  #soon<T>(opening: Promise<T>): Promise<T> {
    const { env, name, openTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = env.setTimer(() => {
        const why = `open: the database ${JSON.stringify(name)} did not open within ${openTimeoutMs} ms: another tab holds an older version of it open, or is deleting it; close or reload that tab`;
        reject(new StrataError('unavailable', why, { operation: 'open' }));
      }, openTimeoutMs);
      opening.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  /** Tells a newer layout of ours from the database of another program. */
  async #newer(): Promise<StrataError> {
    const { name } = this.#options;
    const db = await openDB(name);
    const ours = hasSchema(unwrap(db));
    db.close();
    if (!ours) return this.#foreign();
    const why = `open: the database ${JSON.stringify(name)} was upgraded by a newer version of this library; reload the page`;
    return new StrataError('unavailable', why, { operation: 'open', retryable: false });
  }

  #foreign(): StrataError {
    return new StrataError(
      'invalid-argument',
      `open: the database ${JSON.stringify(this.#options.name)} belongs to another program; expected a name of its own for the store`,
      { operation: 'open' },
    );
  }
}
