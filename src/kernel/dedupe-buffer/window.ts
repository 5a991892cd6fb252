import type { Seen } from './seen.ts';
import type { Queueable, Segment, Segments } from './segments.ts';
import type { DedupePart, DedupeWindow, SinkUpdate } from './types.ts';

/** A window that was handed out: what it shows to the consumer, and what putting it back needs. */
export class TakenWindow<U extends Queueable> implements DedupeWindow<U> {
  readonly parts: readonly DedupePart<U>[];
  readonly updates: readonly SinkUpdate<U>[];
  readonly size: number;
  readonly #segments: Segments<U>;
  readonly #seen: Seen | undefined;
  /** For each update in turn, whether the sink had accepted a value of its key before. */
  readonly #accepted: boolean[] = [];
  #settled = 0;

  constructor(segments: Segments<U>, seen: Seen | undefined) {
    this.#segments = segments;
    this.#seen = seen;
    this.size = segments.size;
    this.parts = Array.from(segments.parts(), (part) =>
      typeof part === 'string'
        ? { type: 'status', status: part }
        : { type: 'updates', updates: this.#giveAll(part) },
    );
    const runs = this.parts.flatMap((part) => (part.type === 'updates' ? [part.updates] : []));
    this.updates = runs.length === 1 ? (runs[0] ?? []) : runs.flat();
  }

  get(key: string): U | undefined {
    return this.#segments.get(key);
  }

  /** Notes that the sink has accepted one part more. */
  settlePart(): void {
    this.#settled++;
  }

  /** What the sink did not accept, to be queued again. The window is over then. */
  takeBack(): Segments<U> {
    let at = 0;
    for (const [i, part] of [...this.#segments.parts()].entries()) {
      if (i < this.#settled) this.#segments.dropPart();
      if (typeof part === 'string') continue;
      if (i >= this.#settled) this.#takeBackAll(part, at);
      at += part.size;
    }
    return this.#segments;
  }

  #giveAll(segment: Segment<U>): SinkUpdate<U>[] {
    const given: SinkUpdate<U>[] = [];
    for (const [key, update] of segment) given.push(this.#give(key, update));
    return given;
  }

  #give(key: string, update: U): SinkUpdate<U> {
    const { deleted } = update;
    if (this.#seen === undefined)
      return { ...update, key, kind: deleted === true ? 'deleted' : 'updated' };
    const accepted = deleted === true ? this.#seen.giveDelete(key) : this.#seen.giveValue(key);
    this.#accepted.push(accepted);
    if (deleted === true) return { ...update, key, kind: 'deleted' };
    return { ...update, key, kind: accepted ? 'updated' : 'new' };
  }

  #takeBackAll(segment: Segment<U>, from: number): void {
    let at = from;
    for (const key of segment.keys()) this.#seen?.takeBack(key, this.#accepted[at++] === true);
  }
}
