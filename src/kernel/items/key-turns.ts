/** Lets work on the same keys happen one after another, in the order in which it was asked for. */
export class KeyTurns {
  readonly #last = new Map<string, Promise<void>>();
  readonly #running = new Set<Promise<void>>();

  /** How much is asked for and not over. */
  get size(): number {
    return this.#running.size;
  }

  /** Starts the work when all that came before it with one of its keys is over. */
  run<T>(keys: ReadonlySet<string>, work: () => Promise<T>): Promise<T> {
    const before: Promise<void>[] = [];
    for (const key of keys) {
      const last = this.#last.get(key);
      if (last !== undefined) before.push(last);
    }
    const done = before.length === 0 ? work() : Promise.all(before).then(work);
    const over = done.then(
      () => {},
      () => {},
    );
    this.#running.add(over);
    for (const key of keys) this.#last.set(key, over);
    void over.then(() => {
      this.#running.delete(over);
      for (const key of keys) if (this.#last.get(key) === over) this.#last.delete(key);
    });
    return done;
  }

  /** Resolves when nothing that was asked for is under way. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }
}
