import { failure, isStrataError } from '../../store/errors.ts';
import type { Store } from '../../store/store.ts';

/** Times that the note is looked at while others write it. */
const TRIES = 4;
const OPERATION = 'archive';

/** What is asked of the hot side. */
interface Identified {
  readonly namespace: string;
  /** For messages. */
  readonly title: string;
  identity(operation: string): Promise<string>;
}

/** What the note is looked at for: to write, it must stand. */
export type Use = 'read' | 'write';

/**
 * Sees to it that a cold store has, under one namespace, the objects of one hot side: two of them
 * would take each other's values. The hot side has a random id of its own, and the cold store a note
 * of it, which the first who writes leaves there and `rebuildIndex` replaces.
 */
export class ColdOwner {
  /** Where the note is; no name of an object. */
  readonly name: string;
  readonly #store: Store<Uint8Array>;
  readonly #hot: Identified;
  readonly #timeoutMs: number;
  /** Uses that are being asked for. */
  readonly #asked = new Map<Use, Promise<void>>();
  #isOurs = false;

  constructor(store: Store<Uint8Array>, hot: Identified, timeoutMs: number) {
    this.name = `${hot.namespace}/id`;
    this.#store = store;
    this.#hot = hot;
    this.#timeoutMs = timeoutMs;
  }

  /** Asks until the note is known to be ours. Errors: `denied` where the objects are those of another hot side. */
  async check(use: Use): Promise<void> {
    if (this.#isOurs) return;
    let asking = this.#asked.get(use);
    if (asking === undefined) {
      asking = this.#note(use === 'write', false).finally(() => this.#asked.delete(use));
      this.#asked.set(use, asking);
    }
    await asking;
  }

  /** Takes the place of whoever had it before. */
  takeOver(): Promise<void> {
    return this.#note(true, true);
  }

  async #note(writes: boolean, replaces: boolean): Promise<void> {
    const timeoutMs = this.#timeoutMs;
    for (let tries = 1; ; tries++) {
      const note = await this.#store.getEntry(this.name, { timeoutMs, fresh: true });
      if (note === undefined && !writes) return;
      const id = await this.#hot.identity(OPERATION);
      this.#isOurs = note !== undefined && new TextDecoder().decode(note.value) === id;
      if (this.#isOurs) return;
      if (note !== undefined && !replaces) throw this.#foreign();
      const condition = note === undefined ? 'absent' : { version: note.version };
      try {
        const bytes = new TextEncoder().encode(id);
        await this.#store.set(this.name, bytes, { if: condition, timeoutMs });
        this.#isOurs = true;
        return;
      } catch (error) {
        // Somebody was quicker, or it was ourselves: what stands there says which.
        if (!isStrataError(error, 'conflict', 'unknown-outcome') || tries === TRIES) throw error;
      }
    }
  }

  #foreign(): Error {
    const { namespace, title } = this.#hot;
    return failure(
      'denied',
      OPERATION,
      `${namespace} in the cold store is of another hot side, or of ${title} before it was emptied; expected a namespace of its own, or rebuildIndex() to take its place`,
    );
  }
}
