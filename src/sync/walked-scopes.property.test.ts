import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Line } from '../../test/support/sync-world.ts';
import {
  codec,
  type Page,
  page,
  reachable,
  revOf,
  stateOf,
  walked,
  walkedWorld,
  walker,
} from '../../test/support/walked-world.ts';
import { memory } from '../drivers/memory/index.ts';
import type { BatchWrite } from '../store/operations.ts';
import type { Store } from '../store/store.ts';
import { sweep } from '../walk/index.ts';
import { type Publication, type Subscription, subscribe, type Transport } from './index.ts';

const ROOTS = ['r1', 'r2'];
const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
const some = fc.subarray(names, { maxLength: 3 });
const move = fc.record({ root: fc.constantFrom(...ROOTS), to: some });
const edit = fc.record({ key: fc.constantFrom(...names), to: some });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ move }) },
  { weight: 6, arbitrary: fc.record({ edit }) },
  { weight: 3, arbitrary: fc.record({ edits: fc.array(edit, { maxLength: 4 }), move }) },
  { weight: 1, arbitrary: fc.record({ remove: fc.constantFrom(...ROOTS) }) },
  { weight: 2, arbitrary: fc.constant({ collect: true as const }) },
  { weight: 6, arbitrary: fc.record({ passMs: fc.constantFrom(0, 1, 3, 300) }) },
  { weight: 2, arbitrary: fc.record({ sweep: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ cut: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ again: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.constant({ restart: true as const }) },
  { weight: 2, arbitrary: fc.record({ over: fc.nat(1) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A source, two copies of what its roots reach, and all that the source ever was. */
class Run {
  readonly #own;
  readonly #history = new Map<number, Record<string, number>>([[0, {}]]);
  readonly #limits;
  /** Two servers of one store: what one has looked at, the other has not. */
  readonly #servers: Publication[];
  /** The server that each copy goes to. */
  readonly #at = [0, 1];
  readonly #lines: (Line | undefined)[] = [];
  readonly #copies;
  readonly #subscriptions: Subscription<Page>[];
  #n = 0;

  constructor(seed: number) {
    this.#own = walkedWorld(seed);
    this.#limits = {
      historyBytes: seed % 2 === 0 ? 0 : 100_000,
      batchKeys: 2,
      comparedKeys: seed % 3 === 0 ? 1_000 : 0,
    };
    this.#servers = [this.#publish(), this.#publish()];
    this.#copies = [this.#own.local, memory<Page>({ env: this.#own.world })];
    this.#subscriptions = [0, 1].map((which) => this.#subscribe(which));
  }

  #publish(): Publication {
    return walked(this.#own.store, ROOTS, { limits: this.#limits });
  }

  #subscribe(which: number): Subscription<Page> {
    const connect = (): Transport => {
      const line = new Line(this.#servers[this.#at[which] ?? 0] as Publication);
      this.#lines[which] = line;
      return line.connect();
    };
    return subscribe({ connect }, this.#copies[which] as Store<Page>, { codec });
  }

  async do(next: Step): Promise<void> {
    const { world, store } = this.#own;
    if ('edits' in next)
      await this.#write([...next.edits, { key: next.move.root, to: next.move.to }]);
    else if ('move' in next) await this.#write([{ key: next.move.root, to: next.move.to }]);
    else if ('edit' in next) await this.#write([next.edit]);
    else if ('remove' in next) await this.#commit([{ type: 'delete', key: next.remove }]);
    else if ('collect' in next) {
      const state = await stateOf(store);
      const { found } = reachable(state, ROOTS);
      const gone = [...state.keys()].filter((key) => !(key in found) && !ROOTS.includes(key));
      await this.#commit(gone.map((key) => ({ type: 'delete', key })));
    } else if ('passMs' in next) await world.advance(next.passMs);
    else if ('sweep' in next) await this.#sweep(next.sweep);
    else if ('cut' in next) this.#lines[next.cut]?.cut();
    else if ('again' in next) {
      await this.#subscriptions[next.again]?.close();
      this.#subscriptions[next.again] = this.#subscribe(next.again);
    } else if ('over' in next) {
      this.#at[next.over] = 1 - (this.#at[next.over] ?? 0);
      this.#lines[next.over]?.cut();
    } else {
      await this.#servers[0]?.close({ spreadMs: 1 });
      this.#servers[0] = this.#publish();
    }
  }

  /** Writes pages, with those that they point to where these are not there: a state is never without. */
  async #write(edits: readonly { readonly key: string; readonly to: readonly string[] }[]) {
    const state = await stateOf(this.#own.store);
    const writes = new Map<string, Page>();
    for (const { key, to } of edits) {
      for (const link of to)
        if (!state.has(link)) writes.set(link, writes.get(link) ?? page(this.#n++));
      writes.set(key, page(this.#n++, ...to));
    }
    await this.#commit([...writes].map(([key, value]) => ({ type: 'set', key, value })));
  }

  async #commit(writes: readonly BatchWrite<Page>[]): Promise<void> {
    const { rev } = await this.#own.store.batch(writes);
    const { found, missing } = reachable(await stateOf(this.#own.store), ROOTS);
    expect(missing).toEqual([]);
    if (rev !== undefined) this.#history.set(rev, found);
  }

  async #sweep(which: number): Promise<void> {
    const local = this.#copies[which] as Store<Page>;
    const lacking: unknown[] = [];
    const onMissing = (key: string, from: string | undefined): void => {
      if (from !== undefined) lacking.push([key, from]);
    };
    const done = sweep(local, ROOTS, walker, { olderThan: await local.cursor(), onMissing });
    done.catch(() => undefined);
    await this.#own.world.advance(1);
    await done;
    expect(lacking).toEqual([]);
  }

  /** Every copy is what its roots reached at some moment, and nothing that they point to is missing. */
  check(): void {
    for (const local of this.#copies) {
      const state = new Map([...local.blocking.list()].map(({ key, value }) => [key, value]));
      const rev = revOf(local);
      const { found, missing } = reachable(state, ROOTS);
      expect(missing).toEqual([]);
      expect(found).toEqual(this.#history.get(rev) ?? this.#before(rev));
    }
  }

  /** Revisions that no commit of users made are those of none. */
  #before(rev: number): Record<string, number> {
    const last = [...this.#history.keys()].filter((each) => each <= rev).sort((a, b) => b - a)[0];
    return this.#history.get(last ?? 0) ?? {};
  }

  async finish(): Promise<void> {
    await this.#own.world.advance(90_000);
    this.check();
    for (const subscription of this.#subscriptions) {
      expect(subscription.status()).toMatchObject({ state: 'live', lag: 0 });
      await subscription.close();
    }
    for (const server of this.#servers) await server.close();
  }
}

describe('copies of what changing roots reach', () => {
  it('are whole at every moment, whatever moves, ends or is swept', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 50 }), fc.nat(), async (steps, seed) => {
        const run = new Run(seed);
        for (const next of steps) {
          await run.do(next);
          run.check();
        }
        await run.finish();
      }),
      { numRuns: 200 },
    );
  });
});
