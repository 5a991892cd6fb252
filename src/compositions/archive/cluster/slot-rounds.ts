import type { Env } from '../../../store/env.ts';
import { SLOTS } from './hash-slots.ts';
import type { SlotList } from './slot-list.ts';
import type { SlotScripts } from './slot-scripts.ts';

/** Slots that are asked at once. */
export const WAVE_SLOTS = 256;
/** Keys that are fetched of a slot, and in all. */
const SLOT_KEYS = 64;
const MOST_KEYS = 1_024;
/** Time that a slot is without marks before it is taken off the list. */
const LISTED_MS = 60_000;

/** Keys of one slot that are due. */
export interface DueKeys {
  readonly slot: number;
  readonly keys: readonly Buffer[];
}

/**
 * Finds what is due: goes round over the slots that are listed. Each round looks also at a stretch
 * of the others, since a failover may have lost what the list had.
 */
export class SlotRounds {
  readonly #env: Env;
  readonly #list: SlotList;
  readonly #at: (slot: number) => SlotScripts;
  readonly #emptySinceMs = new Map<number, number>();
  #found: DueKeys[] = [];
  /** Where the next round begins, and the stretch of slots that are not listed. */
  #from = 0;
  #stretch = 0;
  #looking: Promise<void> | undefined;

  constructor(env: Env, list: SlotList, at: (slot: number) => SlotScripts) {
    this.#env = env;
    this.#list = list;
    this.#at = at;
  }

  /** So many keys that are due, or about to be taken by another; none when nothing is. */
  async next(operation: string, most: number): Promise<readonly DueKeys[]> {
    if (this.#found.length === 0) {
      this.#looking ??= this.#look(operation).finally(() => {
        this.#looking = undefined;
      });
      await this.#looking;
    }
    const next: DueKeys[] = [];
    for (let left = most; left > 0; ) {
      const first = this.#found.shift();
      if (first === undefined) break;
      const { slot, keys } = first;
      next.push({ slot, keys: keys.slice(0, left) });
      if (keys.length > left) this.#found.push({ slot, keys: keys.slice(left) });
      left -= keys.length;
    }
    return next;
  }

  async #look(operation: string): Promise<void> {
    const listed = [...(await this.#list.all(operation))].sort((a, b) => a - b);
    const after = listed.findIndex((slot) => slot >= this.#from);
    const round = after <= 0 ? listed : [...listed.slice(after), ...listed.slice(0, after)];
    await this.#lookAtOthers(operation, new Set(listed));
    let found = 0;
    for (let at = 0; at < round.length && found < MOST_KEYS; at += WAVE_SLOTS) {
      const wave = round.slice(at, at + WAVE_SLOTS);
      const ready = await Promise.all(wave.map((slot) => this.#ready(operation, slot)));
      for (const count of ready) found += count;
      this.#from = (wave.at(-1) as number) + 1;
    }
  }

  async #lookAtOthers(operation: string, listed: ReadonlySet<number>): Promise<void> {
    const stretch = Array.from({ length: WAVE_SLOTS }, (_, at) => this.#stretch + at);
    this.#stretch = (this.#stretch + WAVE_SLOTS) % SLOTS;
    const others = stretch.filter((slot) => !listed.has(slot));
    await Promise.all(
      others.map(async (slot) => {
        const { marks, clock } = await this.#asked(operation, slot);
        if (marks > 0) await this.#list.add(operation, slot, clock);
      }),
    );
  }

  async #ready(operation: string, slot: number): Promise<number> {
    const { marks, keys } = await this.#asked(operation, slot);
    if (marks === 0) await this.#unlistAfterAWhile(operation, slot);
    else this.#emptySinceMs.delete(slot);
    if (keys.length > 0) this.#found.push({ slot, keys });
    return keys.length;
  }

  async #asked(
    operation: string,
    slot: number,
  ): Promise<{ marks: number; clock: string; keys: Buffer[] }> {
    const args = [String(SLOT_KEYS)];
    const ready = await this.#at(slot).run(operation, 'ready', [], args);
    const [marks, clock, ...keys] = ready as [number, Buffer, ...Buffer[]];
    return { marks, clock: String(clock), keys };
  }

  async #unlistAfterAWhile(operation: string, slot: number): Promise<void> {
    const nowMs = this.#env.monotonicMs();
    const sinceMs = this.#emptySinceMs.get(slot);
    if (sinceMs === undefined) {
      this.#emptySinceMs.set(slot, nowMs);
      return;
    }
    if (nowMs - sinceMs < LISTED_MS) return;
    this.#emptySinceMs.delete(slot);
    const unlisted = Number(String(await this.#at(slot).run(operation, 'unlist', [], [])));
    if (unlisted >= 0) await this.#list.remove(operation, slot, String(unlisted));
  }
}
