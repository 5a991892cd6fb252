import type { Env } from '../../store/env.ts';
import { failure, isStrataError, type StrataError } from '../../store/errors.ts';
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
  identity(operation: string, names: boolean): Promise<string | undefined>;
}

/** An answer of the hot side, and when the question was put. */
interface Said {
  readonly question: number;
  /** Absent where it failed. */
  readonly id: string | undefined;
  readonly atMs: number;
}

const ofHotSide = new WeakSet<StrataError>();

/** Whether it was the hot side that failed, asked for its name, and not the cold store. */
export const isOfHotSide = (error: StrataError): boolean => ofHotSide.has(error);

/** What the note is looked at for: to write, it must stand. */
export type Use = 'read' | 'write';

/**
 * Sees to it that a cold store has, under one namespace, the objects of one hot side: two of them
 * would take each other's values. The hot side has a random id of its own, and the cold store a note
 * of it, which the first who writes leaves there and `rebuildIndex` replaces: by one that lets nobody
 * write, until all is recorded, since what has no record is taken for deleted.
 */
export class ColdOwner {
  /** Where the note is; no name of an object. */
  readonly name: string;
  readonly #store: Store<Uint8Array>;
  readonly #hot: Identified;
  readonly #timeoutMs: number;
  /** Comparisons under way. */
  readonly #comparing = new Map<Use, Promise<void>>();
  #asking: Promise<void> | undefined;
  /** Adoptions under way: these read what is not ours yet. */
  #adopting = 0;
  #questions = 0;
  /** What the hot side said to the latest question: an answer to one before it says nothing of now. */
  #said: Said = { question: 0, id: undefined, atMs: 0 };
  /** The note, as it was read or written last. */
  #note: { readonly id: string; readonly atMs: number } | undefined;

  constructor(store: Store<Uint8Array>, hot: Identified, timeoutMs: number) {
    this.name = `${hot.namespace}/id`;
    this.#store = store;
    this.#hot = hot;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Compares both sides, where it is not known of late. `asked` is the question to wait for, by
   * default the last one. Errors: `denied` where the objects are those of another hot side.
   */
  async check(use: Use, asked: Promise<void> | undefined = this.#asking): Promise<void> {
    if (use === 'read' && this.#adopting > 0) return;
    if (asked !== undefined) await asked;
    const nowMs = this.#hot.env.monotonicMs();
    if (this.#isOurs() && nowMs - (this.#note?.atMs ?? 0) < NOTE_MS) {
      if (nowMs - this.#said.atMs < SAME_HOT_MS || (await this.isSameHot())) return;
    }
    const underWay = this.#comparing.get(use);
    await (underWay ?? this.#begun(use));
    // One that was under way may have begun before the hot side was found to be another.
    if (underWay !== undefined && this.#note !== undefined && !this.#isOurs())
      await this.#compare(use);
  }

  /** Asks the hot side who it is, for what it gave until now; none where it is asked at the first check anyway. */
  ask(): Promise<void> | undefined {
    if (this.#note === undefined) return undefined;
    const asking = this.isSameHot().then(() => {
      if (this.#asking === asking) this.#asking = undefined;
    });
    this.#asking = asking;
    return asking;
  }

  /** Whether the hot side is the one that it was; where it is not, or nobody knows, all is compared again before the next use. */
  async isSameHot(): Promise<boolean> {
    await this.#identity(false).catch(() => undefined);
    return this.#isOurs();
  }

  /**
   * Takes the place of whoever had it before, when the work has ended well; until then nobody writes,
   * also where it never ends. Errors: those of the work; `denied` where the hot side is another by then.
   */
  async adopt<T>(work: () => Promise<T>): Promise<T> {
    const id = await this.#identity(true);
    await this.#compare('announce');
    this.#adopting++;
    try {
      const result = await work();
      if ((await this.#identity(false)) !== id) throw this.#foreign();
      await this.#compare('take');
      return result;
    } finally {
      this.#adopting--;
    }
  }

  #isOurs(): boolean {
    return this.#note !== undefined && this.#note.id === this.#said.id;
  }

  async #identity(names: boolean): Promise<string | undefined> {
    const question = ++this.#questions;
    const atMs = this.#hot.env.monotonicMs();
    let id: string | undefined;
    try {
      id = await this.#hot.identity(OPERATION, names);
      return id;
    } catch (error) {
      if (isStrataError(error)) ofHotSide.add(error);
      throw error;
    } finally {
      if (question > this.#said.question) this.#said = { question, id, atMs };
    }
  }

  #begun(use: Use): Promise<void> {
    const comparing = this.#compare(use).finally(() => this.#comparing.delete(use));
    this.#comparing.set(use, comparing);
    return comparing;
  }

  async #compare(what: Use | 'announce' | 'take'): Promise<void> {
    const timeoutMs = this.#timeoutMs;
    const adopts = what === 'announce' || what === 'take';
    for (let tries = 1; ; tries++) {
      const atMs = this.#hot.env.monotonicMs();
      const note = await this.#store.getEntry(this.name, { timeoutMs, fresh: true });
      if (note === undefined && (what === 'read' || what === 'announce')) return;
      const answer = await this.#identity(what === 'write');
      const id = this.#said.id ?? answer;
      if (note !== undefined) this.#note = { id: new TextDecoder().decode(note.value), atMs };
      if (note !== undefined && this.#note?.id === id) return;
      if (id === undefined || (note !== undefined && !adopts)) throw this.#foreign();
      const condition = note === undefined ? 'absent' : { version: note.version };
      try {
        const left = what === 'announce' ? `taken by ${id}` : id;
        const bytes = new TextEncoder().encode(left);
        await this.#store.set(this.name, bytes, { if: condition, timeoutMs });
        this.#note = { id: left, atMs };
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
