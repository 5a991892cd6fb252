/** Load on a store in real time: hits, misses and writes at a steady pace, each timed, in phases. */
import { isStrataError, type Store } from '../../src/store/index.ts';

export interface LoadOptions {
  readonly store: Store<unknown>;
  /** Keys that are read again and again, and written by nobody else. */
  readonly hotKeys: readonly string[];
  /** How many read keys that nobody has asked for before, and how many write, one after the other each; default 4. */
  readonly missers?: number;
  readonly writers?: number;
  /** Pause of each between two operations, in ms; default 2. */
  readonly pauseMs?: number;
}

/** Durations in ms, as far as they are of interest. */
export interface Durations {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** What happened in one phase. */
export interface LoadPhase {
  readonly name: string;
  readonly hits: Durations;
  readonly misses: Durations;
  readonly writes: Durations;
  /** How late timers of this process were meanwhile: what the machine alone costs. */
  readonly idle: Durations;
  /** How operations ended: `miss ok`, `write unavailable` … */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** A write that was tried: the entries `key` and, in the same batch, `last`. */
export interface TriedWrite {
  readonly key: string;
  /** Holds the newest number of its writer. */
  readonly last: string;
  readonly number: number;
}

class Phase {
  readonly name: string;
  readonly times = { hits: [] as number[], misses: [] as number[], writes: [] as number[] };
  readonly idle: number[] = [];
  readonly outcomes: Record<string, number> = {};

  constructor(name: string) {
    this.name = name;
  }

  count(outcome: string): void {
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
  }

  get report(): LoadPhase {
    const { hits, misses, writes } = this.times;
    return {
      name: this.name,
      hits: durationsOf(hits),
      misses: durationsOf(misses),
      writes: durationsOf(writes),
      idle: durationsOf(this.idle),
      outcomes: this.outcomes,
    };
  }
}

const HITS_A_ROUND = 20;
const IDLE_MS = 5;

/** Begins with its construction; an operation counts for the phase in which it began. */
export class StoreLoad {
  /** Writes that were acknowledged, and those of which nobody knows. */
  readonly acknowledged: TriedWrite[] = [];
  readonly inDoubt: TriedWrite[] = [];
  readonly #options: Required<LoadOptions>;
  readonly #phases: Phase[] = [];
  readonly #loops: Promise<void>[] = [];
  #phase: Phase;
  #stopped = false;
  #colds = 0;

  constructor(options: LoadOptions, firstPhase: string) {
    this.#options = { missers: 4, writers: 4, pauseMs: 2, ...options };
    this.#phase = new Phase(firstPhase);
    this.#phases.push(this.#phase);
    const { missers, writers } = this.#options;
    this.#loops.push(
      this.#loop(() => this.#hits()),
      this.#idle(),
    );
    for (let n = 0; n < missers; n++) this.#loops.push(this.#loop(() => this.#miss()));
    for (let n = 0; n < writers; n++) {
      let number = 0;
      this.#loops.push(this.#loop(() => this.#write(n, ++number)));
    }
  }

  /** Begins a phase, which goes on until the next; resolves after a while. */
  async phase(name: string, durationMs: number): Promise<void> {
    this.#phase = new Phase(name);
    this.#phases.push(this.#phase);
    await sleep(durationMs);
  }

  /** Ends the load when the operations under way have ended, and tells of all phases. */
  async stop(): Promise<readonly LoadPhase[]> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    return this.#phases.map(({ report }) => report);
  }

  async #loop(step: () => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      await step();
      await sleep(this.#options.pauseMs);
    }
  }

  async #hits(): Promise<void> {
    const { store, hotKeys } = this.#options;
    const phase = this.#phase;
    for (let n = 0; n < HITS_A_ROUND; n++) {
      const key = hotKeys[Math.floor(Math.random() * hotKeys.length)] as string;
      const beganMs = performance.now();
      const found = await store
        .get(key)
        .then((value) => (value === undefined ? 'nothing' : 'ok'), codeOf);
      phase.times.hits.push(performance.now() - beganMs);
      phase.count(`hit ${found}`);
    }
  }

  async #miss(): Promise<void> {
    const phase = this.#phase;
    const beganMs = performance.now();
    const outcome = await this.#options.store.get(`cold/${++this.#colds}`).then(() => 'ok', codeOf);
    phase.times.misses.push(performance.now() - beganMs);
    phase.count(`miss ${outcome}`);
  }

  async #write(writer: number, number: number): Promise<void> {
    const phase = this.#phase;
    const tried = { key: `written/${writer}/${number}`, last: `last/${writer}`, number };
    const beganMs = performance.now();
    const outcome = await this.#options.store
      .batch([
        { type: 'set', key: tried.key, value: number },
        { type: 'set', key: tried.last, value: number },
      ])
      .then(() => 'ok', codeOf);
    phase.times.writes.push(performance.now() - beganMs);
    phase.count(`write ${outcome}`);
    if (outcome === 'ok') this.acknowledged.push(tried);
    else if (outcome === 'unknown-outcome') this.inDoubt.push(tried);
  }

  async #idle(): Promise<void> {
    while (!this.#stopped) {
      const phase = this.#phase;
      const beganMs = performance.now();
      await sleep(IDLE_MS);
      phase.idle.push(Math.max(0, performance.now() - beganMs - IDLE_MS));
    }
  }
}

/** A phase in a line or two, for the output of a test. */
export function showPhase({ name, hits, misses, writes, idle, outcomes }: LoadPhase): string {
  const show = (what: string, { count, p50Ms, p99Ms, maxMs }: Durations): string =>
    `${what} ${count}: ${p50Ms.toFixed(2)} / ${p99Ms.toFixed(2)} / ${maxMs.toFixed(1)} ms`;
  const times = [
    show('hits', hits),
    show('misses', misses),
    show('writes', writes),
    show('idle', idle),
  ];
  const ends = Object.entries(outcomes).map(([outcome, count]) => `${count} ${outcome}`);
  return `${name} (p50 / p99 / max)\n  ${times.join(', ')}\n  ${ends.join(', ')}`;
}

function durationsOf(times: readonly number[]): Durations {
  const sorted = times.toSorted((x, y) => x - y);
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

function codeOf(error: unknown): string {
  return isStrataError(error) ? error.code : String(error);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
