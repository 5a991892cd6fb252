import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import { isStrataError } from '../../store/errors.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';
import { type Member, settled } from './member.ts';

/** The writes to one member, each bounded, one after the other. */
export class MemberWrites<V> {
  readonly #member: Member<V>;
  /** Ends all of them. */
  readonly #life: Call;
  /** Something is being written to the member. */
  isBusy = false;
  #idle: (() => void)[] = [];
  #isLate = false;
  /** A write that was given up and may still be applied. */
  #straggler: Promise<void> | undefined;
  /** The last write that was begun. */
  #underWay: Promise<void> | undefined;

  constructor(member: Member<V>, life: Call) {
    this.#member = member;
    this.#life = life;
  }

  /** Whether the member answered its last write later than at once. */
  get isLate(): boolean {
    return this.#isLate;
  }

  /** Settles when the last write has. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay;
  }

  apply(writes: readonly Write<V>[]): Awaitable<CommitOutcome> {
    const call = this.#member.call('replicate');
    const result = this.#member.primitives.commit(writes, call);
    this.#isLate = result instanceof Promise;
    return result instanceof Promise ? this.#bounded(result, call) : result;
  }

  /** Whether a write was given up that may still be applied. */
  get hasStrayed(): boolean {
    return this.#straggler !== undefined;
  }

  /** Something else is written to the member. */
  begun(work: Promise<unknown>): void {
    this.#underWay = settled(work);
  }

  /** Waits until nothing is written to the member, and what was given up cannot be applied over what follows. */
  async enter(): Promise<void> {
    while (this.isBusy || this.hasStrayed)
      if (this.isBusy) await this.#life.untilEnd(this.untilIdle());
      else await this.strayed();
    this.#life.throwIfEnded();
    this.isBusy = true;
  }

  /** Settles at the next `wake`. */
  untilIdle(): Promise<void> {
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Those that wait look again. */
  wake(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const go of idle) go();
  }

  /** Waits for what was given up: it is applied by then, or never. */
  async strayed(): Promise<void> {
    if (this.#straggler !== undefined) await this.#life.untilEnd(this.#straggler);
    this.#straggler = undefined;
  }

  async #bounded(result: Promise<CommitOutcome>, call: Call): Promise<CommitOutcome> {
    this.#underWay = settled(result);
    const forget = this.#life.onEnd(() => call.end('closed'));
    try {
      return await call.guard(result);
    } catch (error) {
      if (isStrataError(error, 'unknown-outcome')) this.#straggler = settled(result);
      throw error;
    } finally {
      forget();
    }
  }
}
