import type { Env } from '../../store/env.ts';
import { failure, isStrataError } from '../../store/errors.ts';
import type { Store } from '../../store/store.ts';

/** Times that the note is looked at while others write it. */
const TRIES = 4;
const OPERATION = 'archive';
/** For so long the hot side is taken for the same, but for marks that were taken. */
const SAME_HOT_MS = 1_000;
/** For so long the note is taken to stand, in ms. */
const NOTE_MS = 60_000;

/** What is asked of the hot side. */
interface Identified {
  readonly env: Env;
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
  /** Uses that are being asked about. */
  readonly #asked = new Map<Use, Promise<void>>();
  /** The name that both sides had, and when each was asked. */
  #ours: { readonly id: string; readonly hotMs: number; readonly noteMs: number } | undefined;

  constructor(store: Store<Uint8Array>, hot: Identified, timeoutMs: number) {
    this.name = `${hot.namespace}/id`;
    this.#store = store;
    this.#hot = hot;
    this.#timeoutMs = timeoutMs;
  }

  /** Compares both sides, where it is not known of late. Errors: `denied` where the objects are those of another hot side. */
  async check(use: Use): Promise<void> {
    const nowMs = this.#hot.env.monotonicMs();
    if (this.#ours !== undefined && nowMs - this.#ours.noteMs < NOTE_MS) {
      if (nowMs - this.#ours.hotMs < SAME_HOT_MS || (await this.isSameHot())) return;
    }
    let asking = this.#asked.get(use);
    if (asking === undefined) {
      asking = this.#note(use === 'write', false).finally(() => this.#asked.delete(use));
      this.#asked.set(use, asking);
    }
    await asking;
  }

  /** Whether the hot side is the one that it was; where it is not, or nobody knows, all is compared again before the next use. */
  async isSameHot(): Promise<boolean> {
    const ours = this.#ours;
    if (ours === undefined) return false;
    const hotMs = this.#hot.env.monotonicMs();
    const id = await this.#hot.identity(OPERATION).catch(() => undefined);
    const isSame = id === ours.id;
    if (this.#ours === ours) this.#ours = isSame ? { ...ours, hotMs } : undefined;
    return isSame;
  }

  /** Takes the place of whoever had it before. */
  takeOver(): Promise<void> {
    return this.#note(true, true);
  }

  async #note(writes: boolean, replaces: boolean): Promise<void> {
    const timeoutMs = this.#timeoutMs;
    for (let tries = 1; ; tries++) {
      const atMs = this.#hot.env.monotonicMs();
      const note = await this.#store.getEntry(this.name, { timeoutMs, fresh: true });
      if (note === undefined && !writes) return;
      const id = await this.#hot.identity(OPERATION);
      const isOurs = note !== undefined && new TextDecoder().decode(note.value) === id;
      this.#ours = isOurs ? { id, hotMs: atMs, noteMs: atMs } : undefined;
      if (isOurs) return;
      if (note !== undefined && !replaces) throw this.#foreign();
      const condition = note === undefined ? 'absent' : { version: note.version };
      try {
        const bytes = new TextEncoder().encode(id);
        await this.#store.set(this.name, bytes, { if: condition, timeoutMs });
        this.#ours = { id, hotMs: atMs, noteMs: atMs };
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
