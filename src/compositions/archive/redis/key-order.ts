/** Which waiting work may go now. Pure. */

/** Work that uses keys; those with `true` it may change. */
export interface Keyed {
  readonly uses: ReadonlyMap<string, boolean>;
  /** Its place in the order of the calls. */
  readonly order: number;
}

interface Held {
  readers: number;
  writers: number;
}

/**
 * Work in the order of the calls, as far as it shares keys: what changes a key goes alone, before
 * everything later and after everything earlier that uses it. What was taken together goes together.
 */
export class KeyOrder<T extends Keyed> {
  #waiting: T[] = [];
  readonly #held = new Map<string, Held>();

  get waiting(): number {
    return this.#waiting.length;
  }

  add(work: T): void {
    this.#waiting.push(work);
  }

  /** Lets go of the keys of work that was taken. */
  release(work: Keyed): void {
    for (const [id, writes] of work.uses) {
      const held = this.#held.get(id) as Held;
      if (writes) held.writers--;
      else held.readers--;
      if (held.writers + held.readers === 0) this.#held.delete(id);
    }
  }

  /** Puts back work that was taken, to where it was. */
  putBack(works: readonly T[]): void {
    for (const work of works) this.release(work);
    this.#waiting = [...works, ...this.#waiting].sort((a, b) => a.order - b.order);
  }

  /** Everything that waits, which then waits no more. */
  empty(): T[] {
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }

  /**
   * Takes what may go now, in parts that go together. `fits` says whether work may join a part;
   * what it says no to begins the next one.
   */
  take(fits: (part: readonly T[], work: T) => boolean): T[][] {
    const parts: T[][] = [];
    const passed = new Map<string, boolean>();
    const left: T[] = [];
    let part: T[] = [];
    const close = (): void => {
      if (part.length === 0) return;
      parts.push(part);
      for (const work of part) this.#hold(work);
      part = [];
    };
    for (const work of this.#waiting) {
      if (part.length > 0 && !fits(part, work)) close();
      if (this.#mayGo(work, passed)) part.push(work);
      else {
        left.push(work);
        for (const [id, writes] of work.uses) passed.set(id, writes || passed.get(id) === true);
      }
    }
    close();
    this.#waiting = left;
    return parts;
  }

  #mayGo(work: Keyed, passed: ReadonlyMap<string, boolean>): boolean {
    for (const [id, writes] of work.uses) {
      const before = passed.get(id);
      if (before !== undefined && (writes || before)) return false;
      const held = this.#held.get(id);
      if (held !== undefined && (writes || held.writers > 0)) return false;
    }
    return true;
  }

  #hold(work: Keyed): void {
    for (const [id, writes] of work.uses) {
      const held = this.#held.get(id) ?? { readers: 0, writers: 0 };
      if (writes) held.writers++;
      else held.readers++;
      this.#held.set(id, held);
    }
  }
}
