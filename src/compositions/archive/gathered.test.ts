import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Gathered } from './gathered.ts';

it('takes together what is asked for meanwhile, in order and within its bounds', async () => {
  const steps: (readonly number[])[] = [];
  const gathered = new Gathered<number, number>(
    async (all) => {
      steps.push(all);
      return all.map((one) => one * 10);
    },
    { mostBytes: 100 },
  );
  const sizes = [150, 60, 40, 1];
  const outcomes = await Promise.all(sizes.map((bytes, one) => gathered.add(one, bytes)));
  expect(outcomes).toEqual([0, 10, 20, 30]);
  expect(steps).toEqual([[0], [1, 2], [3]]);
  await Promise.all(Array.from({ length: 65 }, (_, one) => gathered.add(one)));
  expect(steps.slice(3).map((all) => all.length)).toEqual([64, 1]);
});

it('fails those that were part of a step that failed, and goes on', async () => {
  let idle = 0;
  const gathered = new Gathered<string, string>(
    async (all) => {
      if (all.includes('bad')) throw new Error('refused');
      return all;
    },
    { onIdle: () => idle++, mostBytes: 1 },
  );
  const outcomes = await Promise.allSettled(['bad', 'good'].map((one) => gathered.add(one, 1)));
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  expect(idle).toBe(1);
});

it('takes a further step beside others when that is a full one, and what is left after them', async () => {
  const steps: { readonly all: readonly number[]; readonly end: () => void }[] = [];
  const step = (all: readonly number[]): Promise<readonly number[]> =>
    new Promise((resolve) => {
      steps.push({ all, end: () => resolve(all) });
    });
  const gathered = new Gathered<number, number>(step, { atOnce: 2, mostBytes: 1_000 });
  const taken = (): number[] => steps.map(({ all }) => all.length);
  const outcomes: Promise<number>[] = [];
  const add = async (many: number, bytes = 1): Promise<void> => {
    for (let n = 0; n < many; n++) outcomes.push(gathered.add(outcomes.length, bytes));
    await setImmediate();
  };
  const end = async (at: number): Promise<void> => {
    steps[at]?.end();
    await setImmediate();
  };
  await add(1);
  await add(63);
  expect(taken()).toEqual([1]);
  await add(1);
  expect(taken()).toEqual([1, 64]);
  await add(70);
  expect(taken()).toEqual([1, 64]);
  await end(1);
  expect(taken()).toEqual([1, 64, 64]);
  await add(2, 500);
  expect(taken()).toEqual([1, 64, 64]);
  await end(2);
  // By their bytes.
  expect(taken()).toEqual([1, 64, 64, 7]);
  await end(3);
  expect(taken()).toEqual([1, 64, 64, 7]);
  await end(0);
  expect(taken()).toEqual([1, 64, 64, 7, 1]);
  await end(4);
  expect(await Promise.all(outcomes)).toEqual(outcomes.map((_, at) => at));
});
