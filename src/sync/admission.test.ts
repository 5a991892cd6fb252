import { expect, it } from 'vitest';
import { simulatedEnv } from '../testing/index.ts';
import { Admission, type Turn, type TurnTaker } from './admission.ts';

const limits = { readings: 2, turnTimeoutMs: 10_000 };

interface Asker extends TurnTaker {
  readonly turn: () => Turn | undefined;
  readonly sentAway: string[];
}

function setUp() {
  const world = simulatedEnv(1);
  const admission = new Admission(world, limits);
  const ask = (): Asker => {
    let turn: Turn | undefined;
    const sentAway: string[] = [];
    const asker: Asker = {
      turn: () => turn,
      sentAway,
      sendAway: (reason, spreadMs) => {
        sentAway.push(`${reason} ${spreadMs}`);
        admission.leave(asker);
        turn?.end();
      },
    };
    admission.enter(asker).then((given) => {
      turn = given;
    });
    return asker;
  };
  return { world, admission, ask };
}

it('gives so many turns at once, and the others in the order they came', async () => {
  const { world, admission, ask } = setUp();
  const [a, b, c, d] = [ask(), ask(), ask(), ask()];
  await world.advance(1);
  expect([a, b, c, d].map(({ turn }) => turn() !== undefined)).toEqual([true, true, false, false]);
  a.turn()?.end();
  a.turn()?.end();
  await world.advance(1);
  expect([c.turn() !== undefined, d.turn() !== undefined]).toEqual([true, false]);
  expect([admission.reading, admission.waiting]).toEqual([2, 1]);
});

it('lets nobody pass who came later, and forgets who leaves', async () => {
  const { world, admission, ask } = setUp();
  const [a, , c, d] = [ask(), ask(), ask(), ask()];
  await world.advance(1);
  admission.leave(c);
  a.turn()?.end();
  await world.advance(1);
  expect(c.turn()).toBeUndefined();
  expect(d.turn()).toBeDefined();
});

it('sends away who waits for too long, and tells when to come back', async () => {
  const { world, ask } = setUp();
  const [a, b] = [ask(), ask()];
  await world.advance(5_000);
  const late = ask();
  // The store takes its time: nobody is to blame.
  await world.advance(9_000);
  expect(late.sentAway).toEqual([]);
  await world.advance(2_000);
  expect(late.sentAway).toEqual(['turned-away 10000']);
  expect([...a.sentAway, ...b.sentAway]).toEqual([]);
});

it('ends a reading that its own subscriber holds up, but only when others wait', async () => {
  const { world, ask } = setUp();
  const [stopped, slow] = [ask(), ask()];
  await world.advance(1);
  stopped.turn()?.blocked();
  for (let at = 0; at < 60; at++) {
    slow.turn()?.blocked();
    await world.advance(1_000);
    slow.turn()?.moved(1_000);
  }
  expect([...stopped.sentAway, ...slow.sentAway]).toEqual([]);
  const [next, last] = [ask(), ask()];
  slow.turn()?.blocked();
  await world.advance(2_000);
  expect(stopped.sentAway).toEqual(['no-progress 10000']);
  expect(slow.sentAway).toEqual(['no-progress 10000']);
  expect(next.turn()).toBeDefined();
  expect(last.turn()).toBeDefined();
});

it('leaves alone who takes in a little less than it could', async () => {
  const { world, ask } = setUp();
  const [a] = [ask(), ask()];
  const waiting = ask();
  await world.advance(1);
  for (let at = 0; at < 9; at++) {
    a.turn()?.blocked();
    await world.advance(1_000);
    a.turn()?.moved(64 * 1024);
  }
  expect(a.sentAway).toEqual([]);
  expect(waiting.turn()).toBeUndefined();
});
