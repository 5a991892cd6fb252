import { expect, it } from 'vitest';
import { Call } from '../../store/call.ts';
import type { Write } from '../../store/primitives.ts';
import { systemEnv } from '../../store/system-env.ts';
import { CommitTurns } from './commit-turns.ts';

const call = new Call(systemEnv, 'set', undefined, {}, 1_000);
const set = (key: string, value: Uint8Array): Write<Uint8Array>[] => [{ type: 'set', key, value }];

it('takes commits of one key one after another, with bytes of their own', async () => {
  const turns = new CommitTurns(100);
  const value = new Uint8Array([1]);
  const seen: number[] = [];
  const gate = Promise.withResolvers<void>();
  const note = async (owned: readonly Write<Uint8Array>[]): Promise<void> => {
    await gate.promise;
    const [write] = owned;
    if (write?.type === 'set') seen.push(write.value[0] as number);
  };
  const first = turns.run(set('k', value), call, note);
  value[0] = 2;
  const second = turns.run(set('k', value), call, note);
  value[0] = 3;
  let settled = false;
  const settling = turns.settle().then(() => {
    settled = true;
  });
  await turns.run(set('another', value), call, async () => expect(seen).toEqual([]));
  expect(settled).toBe(false);
  gate.resolve();
  await Promise.all([first, second, settling]);
  expect(seen).toEqual([1, 2]);
});

it('refuses more bytes, or more commits, than memory is to take, until some are over', async () => {
  const turns = new CommitTurns(100);
  const gate = Promise.withResolvers<void>();
  const waiting = (key: string, bytes: number): Promise<void> =>
    turns.run(set(key, new Uint8Array(bytes)), call, () => gate.promise);
  const large = waiting('large', 101);
  await expect(waiting('one more', 0)).rejects.toMatchObject({ code: 'overloaded' });
  gate.resolve();
  await large;
  const held = Promise.withResolvers<void>();
  const all = Array.from({ length: 10_000 }, (_, n) =>
    turns.run(set(`k${n}`, new Uint8Array(0)), call, () => held.promise),
  );
  await expect(waiting('one more', 0)).rejects.toMatchObject({ code: 'overloaded' });
  held.resolve();
  await Promise.all(all);
  await waiting('one more', 100);
});
