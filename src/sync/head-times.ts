import type { Position } from '../store/primitives.ts';

/** Revisions seen within so long of each other count as seen together. */
const LEAST_MS = 10;
const MAX_SAMPLES = 512;

interface Sample {
  /** Every revision above this one was seen at `ms` or later. */
  readonly after: number;
  readonly ms: number;
}

/** Remembers, with a bound, when the head of a store was seen to move: how old is what somebody lacks? */
export class HeadTimes {
  #samples: Sample[] = [];
  #epoch = '';

  /** The head has moved on from a revision. */
  moved(from: Position | undefined, to: Position, nowMs: number): void {
    if (to.epoch !== this.#epoch) {
      this.#epoch = to.epoch;
      this.#samples = [];
    }
    const samples = this.#samples;
    const last = samples.at(-1);
    if (last !== undefined && nowMs - last.ms < LEAST_MS) return;
    samples.push({ after: from?.epoch === to.epoch ? from.rev : 0, ms: nowMs });
    // What is left out makes the others seem older, never younger.
    if (samples.length > MAX_SAMPLES) this.#samples = samples.filter((_, at) => at % 2 === 0);
  }

  /** At most so long ago the first revision above this one was seen. */
  ageMs(rev: number, nowMs: number): number {
    const sample = this.#samples.findLast(({ after }) => after <= rev) ?? this.#samples[0];
    return sample === undefined ? 0 : nowMs - sample.ms;
  }
}
