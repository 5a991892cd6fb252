/** So many revisions beyond a gap: somebody else writes to the first store. */
export const MAX_BEYOND = 4_096;

/** Which revisions were seen: all up to one, and some beyond it. */
export class Contiguity {
  #upTo = 0;
  readonly #beyond = new Set<number>();

  /** Every revision up to this one was seen. */
  get upTo(): number {
    return this.#upTo;
  }

  /** How many were seen beyond a gap. */
  get beyond(): number {
    return this.#beyond.size;
  }

  note(rev: number): void {
    if (rev <= this.#upTo) return;
    if (rev !== this.#upTo + 1) {
      this.#beyond.add(rev);
      return;
    }
    this.#upTo = rev;
    while (this.#beyond.size > 0 && this.#beyond.delete(this.#upTo + 1)) this.#upTo++;
  }

  /** Everything up to a revision is known by other means. */
  skipTo(rev: number): void {
    if (rev < this.#upTo) return;
    this.#upTo = rev;
    for (const seen of this.#beyond) if (seen <= rev) this.#beyond.delete(seen);
    while (this.#beyond.size > 0 && this.#beyond.delete(this.#upTo + 1)) this.#upTo++;
  }

  /** Nothing is known. */
  reset(): void {
    this.#upTo = 0;
    this.#beyond.clear();
  }
}
