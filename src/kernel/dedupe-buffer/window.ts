import type { Run, Slot } from '../keyed-queue.ts';
import type { Seen } from './seen.ts';
import type { Part, Queueable } from './segments.ts';
import type { DedupePart, DedupeWindow, SinkUpdate } from './types.ts';

/** A window that was handed out: what it shows to the consumer, and what putting it back needs. */
export class TakenWindow<U extends Queueable> implements DedupeWindow<U> {
  readonly parts: readonly DedupePart<U>[];
  readonly updates: readonly SinkUpdate<U>[];
  readonly size: number;
  readonly #taken: readonly Part<U>[];
  readonly #seen: Seen<U> | undefined;
  /** For each update in turn, whether the sink had accepted a value of its key before. */
  readonly #accepted: Uint8Array | undefined;
  /** Made when somebody asks. */
  #byKey: ReadonlyMap<string, U> | undefined;
  #settled = 0;

  constructor(taken: readonly Part<U>[], seen: Seen<U> | undefined) {
    this.#taken = taken;
    this.#seen = seen;
    this.size = 0;
    for (const part of taken) if (typeof part !== 'string') this.size += part.items.length;
    if (seen !== undefined) this.#accepted = new Uint8Array(this.size);
    let at = 0;
    this.parts = taken.map((part) => {
      if (typeof part === 'string') return { type: 'status', status: part };
      const updates = this.#giveAll(part, at);
      at += updates.length;
      return { type: 'updates', updates };
    });
    const runs = this.parts.flatMap((part) => (part.type === 'updates' ? [part.updates] : []));
    this.updates = runs.length === 1 ? (runs[0] ?? []) : runs.flat();
  }

  get(key: string): U | undefined {
    this.#byKey ??= byKey(this.#taken);
    return this.#byKey.get(key);
  }

  /** Notes that the sink has accepted one part more. */
  settlePart(): void {
    this.#settled++;
  }

  /** What the sink did not accept, to be queued again. The window is over then. */
  takeBack(): readonly Part<U>[] {
    let at = 0;
    for (const [i, part] of this.#taken.entries()) {
      if (typeof part === 'string') continue;
      if (i >= this.#settled) this.#takeBackAll(part, at);
      at += part.items.length;
    }
    return this.#taken.slice(this.#settled);
  }

  #giveAll({ slots, items }: Run<U>, from: number): SinkUpdate<U>[] {
    const given = new Array<SinkUpdate<U>>(items.length);
    for (let i = 0; i < items.length; i++)
      given[i] = this.#give(slots[i] as Slot<U>, items[i] as U, from + i);
    return given;
  }

  #give(slot: Slot<U>, update: U, at: number): SinkUpdate<U> {
    const { key } = slot;
    const deleted = update.deleted === true;
    if (this.#seen === undefined || this.#accepted === undefined)
      return { ...update, key, kind: deleted ? 'deleted' : 'updated' };
    const accepted = deleted ? this.#seen.giveDelete(slot) : this.#seen.giveValue(slot);
    this.#accepted[at] = accepted ? 1 : 0;
    if (deleted) return { ...update, key, kind: 'deleted' };
    return { ...update, key, kind: accepted ? 'updated' : 'new' };
  }

  #takeBackAll({ slots }: Run<U>, from: number): void {
    for (const [i, { key }] of slots.entries())
      this.#seen?.takeBack(key, this.#accepted?.[from + i] === 1);
  }
}

function byKey<U extends Queueable>(parts: readonly Part<U>[]): ReadonlyMap<string, U> {
  const found = new Map<string, U>();
  for (const part of parts)
    if (typeof part !== 'string')
      for (const [i, { key }] of part.slots.entries()) found.set(key, part.items[i] as U);
  return found;
}
