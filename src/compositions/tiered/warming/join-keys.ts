import { compareKeys } from '../../../store/keys.ts';

/** A key, and which of two stores have it. */
export interface Found {
  readonly key: string;
  readonly inFront: boolean;
  readonly inBack: boolean;
}

/** Pages of keys in key order; an empty list at the end. */
export type NextPage = () => Promise<readonly string[]>;

/** The keys of two stores, each once, in key order. Holds a page of either. */
export async function* joinKeys(front: NextPage, back: NextPage): AsyncGenerator<Found[]> {
  const one = new Keys(front);
  const two = new Keys(back);
  for (;;) {
    await one.fill();
    await two.fill();
    if (one.ended && two.ended) return;
    const found: Found[] = [];
    while (one.ready && two.ready && !(one.ended && two.ended)) {
      const order = one.ended ? 1 : two.ended ? -1 : compareKeys(one.key, two.key);
      const key = order <= 0 ? one.key : two.key;
      found.push({ key, inFront: order <= 0, inBack: order >= 0 });
      if (order <= 0) one.take();
      if (order >= 0) two.take();
    }
    yield found;
  }
}

/** One store's keys, a page at a time. */
class Keys {
  /** No keys are left. */
  ended = false;
  readonly #next: NextPage;
  #page: readonly string[] = [];
  #at = 0;

  constructor(next: NextPage) {
    this.#next = next;
  }

  /** Whether the next key, or that there is none, is known. */
  get ready(): boolean {
    return this.ended || this.#at < this.#page.length;
  }

  get key(): string {
    return this.#page[this.#at] as string;
  }

  take(): void {
    this.#at++;
  }

  async fill(): Promise<void> {
    if (this.ready) return;
    this.#page = await this.#next();
    this.#at = 0;
    this.ended = this.#page.length === 0;
  }
}
