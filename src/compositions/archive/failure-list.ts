/** A key for which something failed, and how. */
export interface KeyFailure {
  readonly key: string;
  readonly error: unknown;
}

const MOST = 1_000;

/** The first failures of many, and how many there were. */
export class FailureList {
  readonly first: KeyFailure[] = [];
  count = 0;

  add(key: string, error: unknown): void {
    this.count++;
    if (this.first.length < MOST) this.first.push({ key, error });
  }
}
