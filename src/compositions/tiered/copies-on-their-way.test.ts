/** Reads of the back beside a copy that the front has not taken yet. */
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../test/support/late-store.ts';
import { memory } from '../../drivers/memory/index.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { type TieredStoreWithBlocking, tiered } from './index.ts';

/** A store that has read `k` from the back, whose copy waits on its way to the front. */
async function waiting() {
  const env = simulatedEnv();
  const [inFront, back] = [memory<unknown>({ env }), memory<unknown>({ env })];
  const held: (() => void)[] = [];
  const wait = (step: string): Promise<void> =>
    step.endsWith('commit set k') ? new Promise((go) => held.push(go)) : Promise.resolve();
  const front = lateStore(inFront, wait, { blocking: true });
  const store = tiered({ front, back }) as TieredStoreWithBlocking<unknown>;
  await back.set('k', 'old');
  expect(await store.get('k')).toBe('old');
  await env.advance(0);
  expect(held).toHaveLength(1);
  const arrive = async (): Promise<void> => {
    for (const go of held) go();
    await env.advance(1);
    expect(inFront.blocking.get('k')).toBe('old');
  };
  return { back, store, arrive };
}

describe('a copy on its way to the front', () => {
  it('is not served after somebody was given that the key is gone', async () => {
    const { back, store, arrive } = await waiting();
    await back.delete('k');
    expect(store.blocking.get('k')).toBeUndefined();
    await arrive();
    expect(store.blocking.get('k')).toBeUndefined();
    expect(await store.get('k')).toBeUndefined();
    await store.close();
  });

  it('is not served after somebody was given what replaced it', async () => {
    const { back, store, arrive } = await waiting();
    await back.set('k', 'new');
    expect(store.blocking.get('k')).toBe('new');
    await arrive();
    expect(store.blocking.get('k')).toBe('new');
    expect(await store.get('k')).toBe('new');
    await store.close();
  });
});
