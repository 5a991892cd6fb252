/** A front that follows, and what layers above keep under reserved keys. */
import { describe, expect, it } from 'vitest';
import { followWorld as world } from '../../../test/support/follow-world.ts';
import { Call } from '../../store/call.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { settled } from '../../testing/settled.ts';

const NOTE = '\u0000note';
const env = simulatedEnv();
const call = (): Call => new Call(env, 'test');

async function note(store: Store<unknown>): Promise<unknown> {
  return (await primitivesOf(store).readOne(NOTE, call()))?.value;
}

async function write(store: Store<unknown>, value?: number): Promise<void> {
  const one =
    value === undefined
      ? ({ type: 'delete', key: NOTE } as const)
      : ({ type: 'set', key: NOTE, value } as const);
  await primitivesOf(store).commit([one], call());
}

async function noted(store: Store<unknown>): Promise<string[]> {
  const range = { lower: { key: NOTE, inclusive: true }, reverse: false, limit: 1 };
  const keys: string[] = [];
  for await (const page of primitivesOf(store).scanKeys(range, call())) keys.push(...page);
  return keys;
}

describe('reserved entries', () => {
  for (const read of ['front-first', 'front-only'] as const)
    it(`are followed as others are, read ${read}`, async () => {
      const { store, inBack } = world({ read });
      await settled();
      await write(store, 1);
      expect(await note(store)).toBe(1);
      await write(inBack, 2);
      await settled();
      expect(await note(store)).toBe(2);
      await write(inBack);
      await settled();
      expect(await note(store)).toBeUndefined();
      await store.close();
    });

  for (const read of ['front-first', 'front-only'] as const)
    it(`are there when the front has been emptied, read ${read}`, async () => {
      const { store, inBack } = world({ read });
      await write(inBack, 1);
      await write(store, 2);
      await settled();
      expect(await note(store)).toBe(2);
      expect(await noted(store)).toEqual([NOTE]);
      expect(store.blocking.has('other')).toBe(false);
      await store.close();
    });

  it('of the front itself are left alone', async () => {
    const { store, inFront, inBack } = world();
    await settled();
    await write(inFront, 7);
    await write(inBack, 8);
    await settled();
    expect(await note(inFront)).toBe(7);
    await store.close();
  });
});
