import { expect, it } from 'vitest';
import { simulatedEnv } from '../../testing/index.ts';
import { Call } from '../call.ts';
import { Doorbell } from './doorbell.ts';

const env = simulatedEnv();
const call = (): Call => Call.background(env, 'watch');

it('wakes all that wait, once', async () => {
  const bell = new Doorbell();
  const waiting = [bell.wait(call()), bell.wait(call())];
  expect(bell.waiting).toBe(2);
  bell.ring();
  await Promise.all(waiting);
  expect(bell.waiting).toBe(0);
  bell.ring();
});

it('does not wake who comes after the ring', async () => {
  const bell = new Doorbell();
  bell.ring();
  let woken = false;
  const waiting = bell.wait(call()).then(() => {
    woken = true;
  });
  await env.advance(0);
  expect(woken).toBe(false);
  bell.ring();
  await waiting;
});

it('forgets who gives up, and tells why', async () => {
  const bell = new Doorbell();
  const given = call();
  const waiting = bell.wait(given);
  given.end('aborted');
  await expect(waiting).rejects.toBe(given.ended);
  expect(bell.waiting).toBe(0);
});

it('does not let a call wait that has ended', async () => {
  const bell = new Doorbell();
  const ended = call();
  ended.end('closed');
  await expect(bell.wait(ended)).rejects.toMatchObject({ code: 'closed' });
  expect(bell.waiting).toBe(0);
});

it('fails all that wait when it is told to', async () => {
  const bell = new Doorbell();
  const waiting = [bell.wait(call()), bell.wait(call())].map((wait) => wait.catch((e: Error) => e));
  const broken = new Error('broken');
  bell.fail(broken);
  expect(await Promise.all(waiting)).toEqual([broken, broken]);
  expect(bell.waiting).toBe(0);
});

it('may be waited at again by who was woken', async () => {
  const bell = new Doorbell();
  let rings = 0;
  const follow = async (): Promise<void> => {
    while (rings < 3) {
      await bell.wait(call());
      rings++;
    }
  };
  const following = follow();
  for (let i = 0; i < 3; i++) {
    await env.advance(0);
    bell.ring();
  }
  await following;
  expect(rings).toBe(3);
});
