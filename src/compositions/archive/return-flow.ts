/** Fetched values that wait to be restored, about: beyond it the next are not fetched. */
const WAITING_BYTES = 1024 * 1024;

/** How many keys may be at which step. */
export interface ReturnBounds {
  /** Fetched at once. */
  readonly fetching: number;
  /** Fetched and not yet restored. */
  readonly restoring: number;
}

/** Works on one; `onFetched` is called with its size when what is left to do is to restore it. Never rejects. Gives what is to be worked on once more. */
type Work<T> = (one: T, onFetched: (bytes: number) => void) => Promise<T | undefined>;

/**
 * Keys on their way back: so many are fetched at once, and what was fetched is restored meanwhile,
 * so that neither side waits for the other. A value for which there is no room counts as being
 * fetched until it is restored, and so bounds what is held.
 */
export class ReturnFlow<T> {
  readonly #most: ReturnBounds;
  readonly #work: Work<T>;
  readonly #over: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #ahead: T[];
  #next = 0;
  #fetching = 0;
  #restoring = 0;
  #restoringBytes = 0;

  constructor(most: ReturnBounds, all: readonly T[], work: Work<T>) {
    this.#most = most;
    this.#work = work;
    this.#ahead = [...all];
  }

  /** Works on all; resolves when none is left. To be called once. */
  run(): Promise<void> {
    this.#begin();
    return this.#over.promise;
  }

  #begin(): void {
    while (this.#fetching < this.#most.fetching && this.#next < this.#ahead.length)
      this.#start(this.#ahead[this.#next++] as T);
    if (this.#fetching + this.#restoring === 0) this.#over.resolve();
  }

  #start(one: T): void {
    let waitingBytes: number | undefined;
    this.#fetching++;
    const onFetched = (bytes: number): void => {
      if (waitingBytes !== undefined || !this.#hasRoom(bytes)) return;
      waitingBytes = bytes;
      this.#fetching--;
      this.#restoring++;
      this.#restoringBytes += bytes;
      this.#begin();
    };
    this.#work(one, onFetched).then((again) => {
      if (waitingBytes === undefined) this.#fetching--;
      else {
        this.#restoring--;
        this.#restoringBytes -= waitingBytes;
      }
      if (again !== undefined) this.#ahead.push(again);
      this.#begin();
    });
  }

  #hasRoom(bytes: number): boolean {
    return this.#restoring < this.#most.restoring && this.#restoringBytes + bytes <= WAITING_BYTES;
  }
}
