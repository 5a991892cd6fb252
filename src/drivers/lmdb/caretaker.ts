import type { Env, Timer } from '../../store/env.ts';
import type { Committer } from './committer.ts';
import type { Compactor } from './compactor.ts';
import type { Tip } from './head.ts';
import type { Reader } from './reader.ts';
import type { Sweeper } from './sweeper.ts';
import type { Upkeep } from './upkeep.ts';

const ROUND_EVERY_MS = 30_000;
/** A step that was not applied is tried again after this; so often in a round. */
const BREATH_MS = 5;
const PATIENCE = 20;
/** Fewer stale changes are left to stand. */
const LEAST_STALE = 10_000;

export interface CaretakerOptions {
  readonly env: Env;
  readonly reader: Reader;
  readonly committer: Committer;
  readonly compactor: Compactor;
  readonly sweeper: Sweeper;
  readonly tombstoneBytes: number;
  readonly commitsKept: number;
}

/** Keeps the tables in bounds, in the background: in rounds, and when a commit has brought them near. */
export class Caretaker {
  readonly #options: CaretakerOptions;
  #timer: Timer | undefined;
  #round: Promise<void> | undefined;
  /** Whatever is done, is done after what was begun before. */
  #working: Promise<void> = Promise.resolve();
  #endBreath: (() => void) | undefined;
  #stopped = false;

  constructor(options: CaretakerOptions) {
    this.#options = options;
  }

  start(): void {
    const { env } = this.#options;
    const round = (): void => {
      void this.#startRound().then(() => this.start());
    };
    if (!this.#stopped) this.#timer = env.setTimer(round, ROUND_EVERY_MS, { background: true });
  }

  /** Looks at the head after a commit. */
  noticed(tip: Tip): void {
    const { tombstoneBytes, commitsKept } = this.#options;
    const known = tip.rev - tip.oldestCommit;
    if (
      isWorthCompacting(tip) ||
      tip.tombstoneBytes > tombstoneBytes ||
      known > commitsKept * 1.1 + 1_000
    )
      void this.#startRound();
  }

  /** Compacts the change index to the end; rejects where a transaction fails. */
  compact(): Promise<void> {
    return this.#inTurn(() => this.#compact(Number.POSITIVE_INFINITY));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#endBreath?.();
    await this.#working;
  }

  #startRound(): Promise<void> {
    this.#round ??= this.#inTurn(() => this.#doRound())
      .catch(() => {
        // A full disk or damage: the operation that needs the space or the record says so.
      })
      .finally(() => {
        this.#round = undefined;
      });
    return this.#round;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => {
      // Told to whoever asked for it; what follows goes its own way.
    });
    return done;
  }

  async #doRound(): Promise<void> {
    const { sweeper, reader } = this.#options;
    await this.#repeat((group, known) => sweeper.sweepExpired(group, known));
    await this.#repeat((group, known) => sweeper.forgetDeletes(group, known));
    await this.#repeat((group) => sweeper.trimCommits(group));
    if (isWorthCompacting(reader.run('compact', () => reader.tip()))) await this.#compact(PATIENCE);
  }

  /** Repeats a step until it finds nothing to do. */
  async #repeat(work: Upkeep): Promise<void> {
    const { committer } = this.#options;
    for (let refusals = 0; !this.#stopped && refusals < PATIENCE; ) {
      const done = await committer.maintain(work);
      if (done === 'nothing') return;
      if (done === 'refused') refusals++;
      if (done === 'refused') await this.#breathe();
    }
  }

  async #compact(patience: number): Promise<void> {
    const { committer, compactor } = this.#options;
    compactor.reset();
    for (let refusals = 0; !this.#stopped && refusals < patience; ) {
      let step: ReturnType<Compactor['step']> | undefined;
      const done = await committer.maintain((group) => {
        step = compactor.step(group, committer.staleOnTheWay);
        return step.writes;
      });
      if (done === 'refused') {
        refusals++;
        await this.#breathe();
      } else if (step?.finish() !== false) return;
    }
  }

  async #breathe(): Promise<void> {
    const { env } = this.#options;
    if (this.#stopped) return;
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#endBreath = resolve;
      timer = env.setTimer(resolve, BREATH_MS);
    });
    timer?.cancel();
  }
}

function isWorthCompacting({ stale, changes }: Tip): boolean {
  return stale > LEAST_STALE && stale > changes / 2;
}
