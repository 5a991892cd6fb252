import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';

/** How much is held, in changes and bytes. */
export interface Load {
  readonly entries: number;
  readonly bytes: number;
}

interface Waiter extends Load {
  readonly enter: () => void;
}

/**
 * Room for what waits for a member: who wants to put something there takes room first, and waits
 * while there is none, in turn. What is larger than the whole goes in alone.
 */
export class Room {
  readonly #most: Load;
  /** What the queue holds now. */
  readonly #queued: () => Load;
  readonly #waiting: Waiter[] = [];
  /** Taken for what is not in the queue yet. */
  #takenEntries = 0;
  #takenBytes = 0;

  constructor(most: Load, queued: () => Load) {
    this.#most = most;
    this.#queued = queued;
  }

  /** How many writers wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Takes room. Rejects when the call ends before there is any. */
  take(load: Load, call: Call): Awaitable<void> {
    if (this.#waiting.length === 0 && this.#fits(load)) return this.#enter(load);
    return this.#wait(load, call);
  }

  /** What was taken is in the queue now, or will not come. */
  give({ entries, bytes }: Load): void {
    this.#takenEntries -= entries;
    this.#takenBytes -= bytes;
  }

  /** Lets in who fits now. */
  admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!this.#fits(next)) return;
      this.#waiting.shift();
      this.#enter(next);
      next.enter();
    }
  }

  async #wait(load: Load, call: Call): Promise<void> {
    let waiter: Waiter | undefined;
    const entered = new Promise<void>((resolve) => {
      waiter = { ...load, enter: resolve };
      this.#waiting.push(waiter);
    });
    try {
      await call.untilEnd(entered);
    } catch (error) {
      const at = this.#waiting.indexOf(waiter as Waiter);
      if (at >= 0) this.#waiting.splice(at, 1);
      else this.give(load);
      this.admit();
      throw error;
    }
  }

  #fits({ entries, bytes }: Load): boolean {
    const queued = this.#queued();
    const heldEntries = queued.entries + this.#takenEntries;
    if (heldEntries === 0) return true;
    const heldBytes = queued.bytes + this.#takenBytes;
    return heldEntries + entries <= this.#most.entries && heldBytes + bytes <= this.#most.bytes;
  }

  #enter({ entries, bytes }: Load): void {
    this.#takenEntries += entries;
    this.#takenBytes += bytes;
  }
}
