/**
 * What the journal still holds of writes that the back has already: after a crash it is recovered, and
 * must not undo what came later.
 */
import { describe, expect, it } from 'vitest';
import { BehindWorld, LEASE_MS, type Process } from '../../../../test/support/behind-world.ts';
import { given } from '../../../../test/support/journal-world.ts';
import type { Capabilities } from '../../../store/index.ts';
import type { TieredOptions } from '../options.ts';

const BACKS: Readonly<Record<string, Partial<Capabilities>>> = {
  'that is fenced': {},
  'without atomic batches': { atomic: 'key' },
  'without conditional writes': { atomic: 'key', conditional: 'none' },
};

const READS = ['front-first', 'front-only'] as const;

class Restarting {
  readonly world: BehindWorld;
  process: Process;

  constructor(options: Partial<TieredOptions<unknown>>, backLacks: Partial<Capabilities> = {}) {
    this.world = new BehindWorld(options, false, backLacks);
    this.process = this.world.start();
  }

  give<T>(work: (process: Process) => Promise<T>): Promise<T> {
    return given(this.world.env, work(this.process));
  }

  /** Somebody else deletes a key of the back, and the front lets go of its copy. */
  async deletedByOthers(key: string): Promise<void> {
    await this.world.back.delete(key);
    expect(await this.give(({ store }) => store.get(key, { fresh: true }))).toBeUndefined();
  }

  async crash(): Promise<void> {
    this.process.kill();
    this.process = this.world.start();
    await this.world.env.advance(LEASE_MS);
  }

  /** What is read at once after the crash, and in the end; and what the back has then. */
  async gets(key: string): Promise<readonly unknown[]> {
    this.process.plans.back.failNext('commit', 'unavailable', { times: 3 });
    const atOnce = await this.give(({ store }) => store.get(key));
    await this.give(({ store }) => store.flush());
    return [atOnce, await this.give(({ store }) => store.get(key)), await this.world.back.get(key)];
  }
}

for (const [name, backLacks] of Object.entries(BACKS))
  for (const read of READS)
    describe(`a delete that finds nothing, over a back ${name}, read ${read}`, () => {
      const begin = (): Restarting => new Restarting({ read }, backLacks);

      it('outlives a crash while the journal holds an older set of the key', async () => {
        const run = begin();
        await run.give(({ store }) => store.set('c', 'ours'));
        await run.give(({ store }) => store.flush());
        await run.deletedByOthers('c');
        expect(await run.give(({ store }) => store.delete('c'))).toBe(false);
        await run.crash();
        expect(await run.gets('c')).toEqual([undefined, undefined, undefined]);
      });

      it('does so at the end of a batch that first sets the key', async () => {
        const run = begin();
        await run.give(({ store }) => store.set('c', 'ours'));
        await run.give(({ store }) => store.flush());
        await run.deletedByOthers('c');
        await run.give(({ store }) =>
          store.batch([
            { type: 'set', key: 'c', value: 'brief', if: 'absent' },
            { type: 'delete', key: 'c' },
          ]),
        );
        await run.crash();
        expect(await run.gets('c')).toEqual([undefined, undefined, undefined]);
      });

      it('does so after a crash that came before it', async () => {
        const run = begin();
        await run.give(({ store }) => store.set('c', 'ours'));
        await run.give(({ store }) => store.flush());
        await run.crash();
        await run.give(({ store }) => store.flush());
        await run.deletedByOthers('c');
        expect(await run.give(({ store }) => store.delete('c'))).toBe(false);
        await run.crash();
        expect(await run.gets('c')).toEqual([undefined, undefined, undefined]);
      });

      it('adds nothing to the journal when that holds nothing of the key', async () => {
        const run = begin();
        await run.give(({ store }) => store.set('c', 'ours'));
        await run.give(({ store }) => store.flush());
        await run.world.env.advance(1_000);
        await run.deletedByOthers('c');
        const before = await run.give(({ store }) => store.cursor());
        expect(await run.give(({ store }) => store.delete('c'))).toBe(false);
        expect(await run.give(({ store }) => store.cursor())).toBe(before);
      });
    });

describe('a commit of which the back has a part', () => {
  it('brings nothing of that part back after a crash', async () => {
    const run = new Restarting({}, BACKS['without conditional writes']);
    await run.give(({ store }) => store.has('opened'));
    run.process.plans.back.failNext('commit', 'unavailable', { times: 1_000, after: 1 });
    await run.give(({ store }) =>
      store.setMany([
        ['c', 'ours'],
        ['d', 'ours'],
      ]),
    );
    await run.world.env.advance(0);
    expect(await run.world.back.get('c')).toBe('ours');
    await run.deletedByOthers('c');
    expect(await run.give(({ store }) => store.delete('c'))).toBe(false);
    await run.crash();
    expect(await run.gets('c')).toEqual([undefined, undefined, undefined]);
    expect(await run.world.back.get('d')).toBe('ours');
  });
});

describe('a write that gave way to the back', () => {
  it('is not recovered from an older commit than the one that gave way', async () => {
    const run = new Restarting({ onConflict: 'keep-back' });
    await run.give(({ store }) => store.has('opened'));
    const { back } = run.process.plans;
    // What follows is flushed as one, after a first window that needs two tries.
    back.failNext('commit', 'unavailable');
    await run.give(({ store }) => store.set('a', 'ours'));
    await run.give(({ store }) =>
      store.setMany([
        ['c', 'ours'],
        ['d', 'ours'],
      ]),
    );
    await run.give(({ store }) => store.delete('c'));
    await run.world.back.set('c', 'of others');
    back.failNext('commit', 'unavailable', { times: 1_000, after: 1 });
    await run.world.env.advance(500);
    expect(run.process.events).toContainEqual({ type: 'back-conflict', key: 'c', kept: 'back' });
    await run.world.back.delete('c');
    // What the journal may drop goes with the next commit.
    await run.give(({ store }) => store.set('e', 'ours'));
    await run.crash();
    expect(await run.gets('c')).toEqual([undefined, undefined, undefined]);
    expect(await run.gets('d')).toEqual(['ours', 'ours', 'ours']);
  });
});

describe('changes of others, after a crash', () => {
  const CHAINS: Readonly<Record<string, (process: Process) => Promise<unknown>>> = {
    'own delete': ({ store }) => store.delete('c'),
    'own set that has ended': ({ store }) => store.set('c', 'brief', { ttlMs: 100 }),
    'own delete and set': async ({ store }) => {
      await store.delete('c');
      await store.set('c', 'coalesced');
    },
  };

  for (const [name, before] of Object.entries(CHAINS)) {
    const onTheWay = async (): Promise<Restarting> => {
      const run = new Restarting({ onConflict: 'keep-back' });
      await run.world.back.set('c', 'of others');
      await run.give(({ store }) => store.has('c'));
      run.process.plans.back.hangNext('commit', { applied: true });
      await run.give(before);
      await run.world.env.advance(0);
      return run;
    };

    it(`are not seen in an ${name} beneath a write`, async () => {
      const run = await onTheWay();
      await run.give(({ store }) => store.set('c', 'ours'));
      await run.crash();
      await run.give(({ store }) => store.flush());
      expect(await run.world.back.get('c')).toBe('ours');
    });

    it(`are seen beyond an ${name}`, async () => {
      const run = await onTheWay();
      await run.give(({ store }) => store.set('c', 'ours'));
      await run.world.back.set('c', 'of others again');
      await run.crash();
      await run.give(({ store }) => store.flush());
      expect(await run.world.back.get('c')).toBe('of others again');
    });
  }
});
