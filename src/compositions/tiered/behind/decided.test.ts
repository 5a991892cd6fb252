/** On what writes are decided that are acknowledged before the back has them. */
import '../../../../test/support/behind-loaded.ts';
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../../test/support/late-store.ts';
import { lru } from '../../../drivers/lru/index.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { simulatedEnv } from '../../../testing/index.ts';
import { type TieredStoreWithBlocking, tiered } from '../index.ts';
import type { TieredOptions } from '../options.ts';

type Options = Partial<TieredOptions<unknown>>;

function worldOf(options: Options = {}) {
  const env = simulatedEnv();
  const [front, back] = [memory<unknown>({ env }), memory<unknown>({ env })];
  const store = tiered<unknown>({
    ...{ front, back, write: 'behind', journal: 'volatile', ...options },
  }) as TieredStoreWithBlocking<unknown>;
  return { env, front, back, store };
}

describe('what is remembered of keys that the back did not have', () => {
  const remembering = async () => {
    const world = worldOf({ negativeTtlMs: 60_000 });
    expect(await world.store.get('k')).toBeUndefined();
    await world.back.set('k', 'of others');
    expect(await world.store.get('k')).toBeUndefined();
    return world;
  };

  it('does not keep a delete from the back', async () => {
    const { back, store } = await remembering();
    expect(await store.delete('k')).toBe(true);
    await store.flush();
    expect(await back.get('k')).toBeUndefined();
    await store.close();
  });

  it('does not keep a blocking delete from the back', async () => {
    const { back, store } = await remembering();
    expect(store.blocking.delete('k')).toBe(true);
    await store.flush();
    expect(await back.get('k')).toBeUndefined();
    await store.close();
  });

  it('lets no condition hold that does not', async () => {
    const { back, store } = await remembering();
    await expect(store.set('k', 'ours', { if: 'absent' })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(() => store.blocking.set('k', 'ours', { if: 'absent' })).toThrow(
      expect.objectContaining({ code: 'conflict' }),
    );
    await store.flush();
    expect(await back.get('k')).toBe('of others');
    await store.close();
  });

  it('is not what an update begins with', async () => {
    const { back, store } = await remembering();
    await store.update('k', (value) => `${value}, and ours`);
    await store.flush();
    expect(await back.get('k')).toBe('of others, and ours');
    await store.close();
  });

  it('is not what a blocking update begins with', async () => {
    const { back, store } = await remembering();
    store.blocking.update('k', (value) => `${value}, and ours`);
    await store.flush();
    expect(await back.get('k')).toBe('of others, and ours');
    await store.close();
  });
});

describe('a read of the back that began before a delete', () => {
  it('does not decide it', async () => {
    const env = simulatedEnv();
    const inBack = memory<unknown>({ env });
    let answer: (() => void) | undefined;
    let holds = false;
    const back = lateStore(inBack, (step) =>
      holds && step.endsWith('read k answers')
        ? new Promise<void>((go) => {
            answer = go;
          })
        : Promise.resolve(),
    );
    const store = tiered({ front: memory({ env }), back, write: 'behind', journal: 'volatile' });
    await store.has('opened');
    holds = true;
    const reading = store.get('k');
    await env.advance(0);
    holds = false;
    await inBack.set('k', 'of others');
    const deleting = store.delete('k');
    await env.advance(0);
    answer?.();
    expect(await reading).toBeUndefined();
    await deleting;
    await store.flush();
    expect(await inBack.get('k')).toBeUndefined();
    await store.close();
  });
});

describe('the blocking half, where the front is read alone', () => {
  const began = async (options: Options = {}) => {
    const world = worldOf({ read: 'front-only', ...options });
    await world.store.has('opened');
    await world.back.set('k', 'of others');
    return world;
  };

  it('deletes what only the back has', async () => {
    const { back, store } = await began();
    expect(store.blocking.delete('k')).toBe(true);
    await store.flush();
    expect(await back.get('k')).toBeUndefined();
    await store.close();
  });

  it('holds conditions against the back', async () => {
    const { store } = await began();
    expect(() => store.blocking.set('k', 'ours', { if: 'absent' })).toThrow(
      expect.objectContaining({ code: 'conflict' }),
    );
    await store.close();
  });

  it('begins an update with what the back has', async () => {
    const { back, store } = await began();
    store.blocking.update('k', (value) => `${value}, and ours`);
    await store.flush();
    expect(await back.get('k')).toBe('of others, and ours');
    await store.close();
  });

  it('replaces no immutable entry that only the back has', async () => {
    const { back, store } = await began();
    await back.set('firm', 'of others', { immutable: true });
    store.blocking.set('firm', 'ours');
    await store.flush();
    expect(await back.get('firm')).toBe('of others');
    expect(store.pending().deadLetters).toBe(1);
    await store.close();
  });

  it('holds a write against what the back has when it is made', async () => {
    const { back, store } = await began({ onConflict: 'keep-back' });
    expect(await store.get('k', { fresh: true })).toBe('of others');
    await back.set('k', 'of others again');
    store.blocking.set('k', 'ours');
    await store.flush();
    expect(await back.get('k')).toBe('ours');
    await store.close();
  });

  it('ends an update of what the front does not keep', async () => {
    const front = memory<unknown>({ evict: lru({ maxEntries: 1, maxBytes: 4_096 }) });
    const { back, store } = await began({ front });
    const long = 'too long'.repeat(1_000);
    await back.set('k', long);
    store.blocking.update('k', (value) => `${value}, and ours`);
    await store.flush();
    expect(await back.get('k')).toBe(`${long}, and ours`);
    await store.close();
  });
});
