import { expect, it } from 'vitest';
import { simulatedEnv } from '../../testing/index.ts';
import { PostponedJoins } from './postponed-joins.ts';

it('gives up joining after enough attempts and enough time, and counts anew after one that worked', async () => {
  const env = simulatedEnv(1);
  const joins = new PostponedJoins(env, 200);
  for (let n = 0; n < 10; n++) joins.add();
  expect(joins.areTooMany).toBe(false);
  await env.advance(599);
  expect(joins.areTooMany).toBe(false);
  await env.advance(1);
  expect(joins.areTooMany).toBe(true);
  joins.clear();
  expect(joins.areTooMany).toBe(false);
  joins.add();
  await env.advance(1_000);
  joins.add();
  expect(joins.areTooMany).toBe(false);
  joins.add();
  expect(joins.areTooMany).toBe(true);
});
