import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

/** A prepared statement whose rows come as arrays of known columns. */
export class Query<Row extends readonly unknown[] = readonly []> {
  readonly #statement: StatementSync;

  constructor(db: DatabaseSync, sql: string) {
    this.#statement = db.prepare(sql);
    this.#statement.setReturnArrays(true);
  }

  /** Runs it; gives the number of rows changed. */
  run(...values: SQLInputValue[]): number {
    return Number(this.#statement.run(...values).changes);
  }

  first(...values: SQLInputValue[]): Row | undefined {
    return this.#statement.get(...values) as Row | undefined;
  }

  all(...values: SQLInputValue[]): Row[] {
    return this.#statement.all(...values) as unknown as Row[];
  }

  /** Row by row, to stop in between; nothing else may run on the statement meanwhile. */
  each(...values: SQLInputValue[]): Iterable<Row> {
    return this.#statement.iterate(...values) as unknown as Iterable<Row>;
  }
}
