import { type EngineName, ensureEngine } from '../../../test/support/find-engine.ts';
import { NotHere } from '../row.ts';
import { Ends } from './ends.ts';
import type { PeerName } from './index.ts';

/** Who takes part, with how large a share of the work: the slow ones would take minutes of it. */
export interface Entrant {
  readonly name: PeerName;
  readonly share?: number;
}

const engines: Partial<Record<PeerName, EngineName>> = {
  'NATS KV': 'nats-server',
  'Redis streams': 'redis-server',
};

const OURS: ReadonlySet<PeerName> = new Set(['stratakv', 'stratakv from lmdb', 'bare ws frames']);

/** Whether the others are left out, for a quick look at what is ours. */
const ALONE = process.env.STRATAKV_BENCH_PEERS === 'none';

/** Who takes part in a suite, and why others do not or no longer, which ends up in the output. */
export class Field {
  readonly #lacking: Map<string, string> = new Map();

  /** Those whose engine is here, or can be installed. */
  here<E extends Entrant>(entrants: readonly E[]): E[] {
    return this.still(entrants).filter(({ name }) => {
      if (ALONE && !OURS.has(name)) {
        this.#lacking.set(name, 'left out');
        return false;
      }
      const engine = engines[name];
      const found = engine === undefined ? undefined : ensureEngine(engine, console.error);
      if (found === undefined || 'at' in found) return true;
      this.#lacking.set(name, found.missing);
      return false;
    });
  }

  /** Those that have done so far what they were asked. */
  still<E extends Entrant>(entrants: readonly E[]): E[] {
    return entrants.filter(({ name }) => !this.#lacking.has(name));
  }

  /** Gives what `attempt` gives. A peer that fails gives nothing, and takes part no more; ours ends the suite. */
  async try<T>(name: PeerName, attempt: () => Promise<T>): Promise<T | undefined> {
    if (this.#lacking.has(name)) return undefined;
    if (OURS.has(name)) return attempt();
    try {
      return await attempt();
    } catch (error) {
      this.#lacking.set(name, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  /** Starts a source that ends with `stack`, and prepares it. */
  open(
    stack: AsyncDisposableStack,
    name: PeerName,
    prepare: (ends: Ends) => Promise<unknown>,
  ): Promise<Ends | undefined> {
    return this.try(name, async () => {
      const ends = stack.use(await Ends.start(name));
      await prepare(ends);
      return ends;
    });
  }

  /** To be called when everything else has been measured. */
  tellMissing(): void {
    if (this.#lacking.size === 0) return;
    const reasons = [...this.#lacking].map(([name, reason]) => `${name}: ${reason}`);
    throw new NotHere(reasons.join('; '));
  }
}
