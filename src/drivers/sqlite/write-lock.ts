import { StrataError } from '../../store/errors.ts';
import type { SqliteEngine } from './engine.ts';
import { toBusyMs } from './open-database.ts';
import { ownMark } from './opener.ts';
import { isBusy, toStrataError } from './sqlite-errors.ts';

export interface WriteLockOptions {
  readonly engine: SqliteEngine;
  readonly timeoutMs: number;
  /** Under which this opening is entered as a writer whose commits may not be on disk; absent where they always are. */
  readonly openerToken?: string | undefined;
}

/** The write transactions of one connection. */
export class WriteLock {
  readonly #engine: SqliteEngine;
  readonly #timeoutMs: number;
  readonly #openerToken: string | undefined;
  #entered = false;
  #entering = false;

  constructor({ engine, timeoutMs, openerToken }: WriteLockOptions) {
    this.#engine = engine;
    this.#timeoutMs = timeoutMs;
    this.#openerToken = openerToken;
  }

  /** Begins at once, or is false when another connection writes: the event loop never waits here. */
  tryBegin(operation: string): boolean {
    const { db, path } = this.#engine;
    db.exec('PRAGMA busy_timeout = 0');
    try {
      this.#begin();
      return true;
    } catch (error) {
      if (isBusy(error)) return false;
      throw toStrataError(error, operation, path);
    } finally {
      db.exec(`PRAGMA busy_timeout = ${toBusyMs(this.#timeoutMs)}`);
    }
  }

  /** Begins, waiting for another connection's transaction; fails with `timeout`. */
  begin(operation: string): void {
    try {
      this.#begin();
    } catch (error) {
      if (!isBusy(error)) throw toStrataError(error, operation, this.#engine.path);
      throw new StrataError(
        'timeout',
        `${operation}: another process kept ${this.#engine.path} locked for ${this.#timeoutMs} ms`,
        { operation, cause: error },
      );
    }
  }

  commit(): void {
    this.#engine.db.exec('COMMIT');
    if (!this.#entering) return;
    this.#entered = true;
    this.#stopEntering();
  }

  rollBack(): void {
    this.#engine.rollBack();
    this.#stopEntering();
  }

  /** Brings everything to disk and takes the entry among the openers out, at the end. */
  leave(): void {
    const { db, tables } = this.#engine;
    if (!this.#entered || this.#openerToken === undefined) return;
    db.exec('PRAGMA synchronous = FULL');
    tables.removeOpener.run(this.#openerToken);
  }

  #begin(): void {
    const { db, tables } = this.#engine;
    const entering = this.#openerToken !== undefined && !this.#entered;
    if (!entering) {
      db.exec('BEGIN IMMEDIATE');
      return;
    }
    // On disk before the first commit that may be lost.
    db.exec('PRAGMA synchronous = FULL');
    this.#entering = true;
    try {
      db.exec('BEGIN IMMEDIATE');
      const { pid, started } = ownMark();
      tables.addOpener.run(this.#openerToken, pid, started);
    } catch (error) {
      this.rollBack();
      throw error;
    }
  }

  #stopEntering(): void {
    if (!this.#entering) return;
    this.#entering = false;
    this.#engine.db.exec('PRAGMA synchronous = NORMAL');
  }
}
