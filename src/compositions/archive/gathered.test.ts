import { expect, it } from 'vitest';
import { Gathered } from './gathered.ts';

it('takes together what is asked for meanwhile, in order and within its bounds', async () => {
  const steps: (readonly number[])[] = [];
  const gathered = new Gathered<number, number>(
    async (all) => {
      steps.push(all);
      return all.map((one) => one * 10);
    },
    undefined,
    100,
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
    () => idle++,
    1,
  );
  const outcomes = await Promise.allSettled(['bad', 'good'].map((one) => gathered.add(one, 1)));
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  expect(idle).toBe(1);
});
