import type { Timer } from '../../store/env.ts';
import type { FirstStore } from './first-store.ts';
import type { Mark, Member } from './member.ts';

/** A member notes how far it came after so many windows, and so long after a write. */
const MARK_WINDOWS = 256;
const MARK_AFTER_MS = 1_000;

export interface MarkerSetup<V> {
  readonly member: Member<V>;
  readonly first: FirstStore<V>;
  isLive(): boolean;
  /** Whether the member has all that it was told of. */
  isEven(): boolean;
  /** Of all revisions up to here is known what they did. */
  seenUpTo(): number;
  /** The member does not hold what was noted in it: it has lost data. */
  onLost(): void;
  /** Somebody else writes to the first store. */
  onOthers(): void;
  onRewound(): void;
}

/**
 * Notes in a live member how far it came, now and then: after a crash it goes on from there. The note
 * may lag behind, and never leads.
 */
export class Marker<V> {
  /** The newest that is known to be noted. */
  mark: Mark | undefined;
  readonly #setup: MarkerSetup<V>;
  #windows = 0;
  #timer: Timer | undefined;

  constructor(setup: MarkerSetup<V>) {
    this.#setup = setup;
  }

  /** A window was applied. */
  applied(): void {
    if (++this.#windows % MARK_WINDOWS === 0) this.#note();
    this.#timer ??= this.#setup.member.env.setTimer(
      () => {
        this.#timer = undefined;
        this.#note();
      },
      MARK_AFTER_MS,
      { background: true },
    );
  }

  /** Nothing is to be noted, for now. */
  rest(): void {
    this.#windows = 0;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Notes a last time what is to be noted. Never fails. */
  async finish(): Promise<void> {
    if (this.#windows > 0 && this.#setup.isEven()) await this.#write().catch(() => {});
    this.rest();
  }

  #note(): void {
    // A note that fails is behind, which costs time at the next opening, and no more.
    if (this.#windows > 0) this.#write().catch(() => {});
  }

  async #write(): Promise<void> {
    const { first, member, isLive, isEven, seenUpTo, onOthers } = this.#setup;
    const { head } = await first.state();
    const held = await member.readMark();
    if (!isLive()) return;
    if (head.epoch !== first.epoch) return this.#setup.onRewound();
    if (!this.#isHeld(held)) return this.#setup.onLost();
    if (seenUpTo() < head.rev) {
      // Not by this store: the feed tells what it was.
      if (first.atRest) onOthers();
      return;
    }
    if (!isEven()) return;
    this.#windows = 0;
    this.mark = await member.writeMark({ storeId: first.storeId, at: head });
  }

  /** Whether a note in the member is the last one, or newer: of one whose answer was lost. */
  #isHeld(held: Mark | undefined): boolean {
    const noted = this.mark;
    if (noted === undefined) return true;
    if (held?.storeId !== noted.storeId || held.at.epoch !== noted.at.epoch) return false;
    return held.at.rev >= noted.at.rev;
  }
}
