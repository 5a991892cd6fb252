/** Somebody waits until everything up to a commit is settled. */
interface Wait {
  upTo: number;
  readonly done: PromiseWithResolvers<void>;
}

/** Those who wait until what was pending when they asked is settled. */
export class FlushWaits {
  readonly #waits = new Set<Wait>();

  add(upTo: number): { readonly done: Promise<void>; cancel(): void } {
    const wait: Wait = { upTo, done: Promise.withResolvers() };
    this.#waits.add(wait);
    return { done: wait.done.promise, cancel: () => this.#waits.delete(wait) };
  }

  /** What a commit was to bring to the back is now for another one to bring. */
  defer(from: number, to: number): void {
    for (const wait of this.#waits) if (wait.upTo >= from) wait.upTo = Math.max(wait.upTo, to);
  }

  fail(error: Error): void {
    for (const wait of this.#waits) {
      this.#waits.delete(wait);
      // Who waited may have given up by now.
      wait.done.promise.catch(() => {});
      wait.done.reject(error);
    }
  }

  /** The oldest commit of which something is pending. */
  tell(oldest: number | undefined): void {
    for (const wait of this.#waits) {
      if (oldest !== undefined && oldest <= wait.upTo) continue;
      this.#waits.delete(wait);
      wait.done.resolve();
    }
  }
}
