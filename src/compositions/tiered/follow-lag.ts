import type { Env } from '../../store/env.ts';

/** While there is always something new, the head is asked for so often at most. */
const MARK_EVERY_MS = 100;

/**
 * How far a follower is behind, by the monotonic clock. It is *current* as of a moment when it has
 * applied everything that the feed held at that moment: the feed had nothing more to give to a read
 * that began then, or the head that was asked for then is passed.
 */
export class FollowLag {
  readonly #env: Env;
  readonly #beatMs: number;
  #currentMs: number;
  /** When the feed told of something new. */
  #toldMs = 0;
  #idle = false;
  #mark: { readonly rev: number; readonly askedMs: number } | undefined;
  #markedMs = 0;

  /** `beatMs`: how often a follower at rest makes sure that it is current. */
  constructor(env: Env, beatMs: number) {
    this.#env = env;
    this.#beatMs = beatMs;
    this.#currentMs = env.monotonicMs();
  }

  /** How old what the front shows may be. */
  get ageMs(): number {
    return this.#env.monotonicMs() - this.#currentMs;
  }

  /** As `ageMs`, but 0 while the feed answers and has nothing new: it tells at once when it has. */
  get lagMs(): number {
    const nowMs = this.#env.monotonicMs();
    if (this.#idle && nowMs - this.#currentMs <= 2 * this.#beatMs) return 0;
    return nowMs - (this.#idle ? this.#currentMs : Math.max(this.#currentMs, this.#toldMs));
  }

  /** Everything that there was at a moment is applied. */
  current(asOfMs: number): void {
    this.#currentMs = Math.max(this.#currentMs, asOfMs);
    this.#mark = undefined;
    this.#idle = true;
  }

  /** There is something new. */
  told(): void {
    if (this.#idle) this.#toldMs = this.#env.monotonicMs();
    this.#idle = false;
  }

  /** The feed does not answer. */
  failed(): void {
    this.#idle = false;
    this.#toldMs = 0;
  }

  /** Whether to ask for the head, so that it is known when it is passed. */
  get wantsMark(): boolean {
    const nowMs = this.#env.monotonicMs();
    return (
      this.#mark === undefined && nowMs - Math.max(this.#currentMs, this.#markedMs) > MARK_EVERY_MS
    );
  }

  /** The head at a moment. */
  mark(rev: number, askedMs: number): void {
    this.#mark = { rev, askedMs };
    this.#markedMs = askedMs;
  }

  /** Everything up to a revision is applied. */
  passed(rev: number): void {
    if (this.#mark === undefined || rev < this.#mark.rev) return;
    this.#currentMs = Math.max(this.#currentMs, this.#mark.askedMs);
    this.#mark = undefined;
  }

  /** Marks of another history say nothing. */
  restart(): void {
    this.#mark = undefined;
    this.#markedMs = 0;
    this.#idle = false;
  }
}
