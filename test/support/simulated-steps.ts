/** What can happen in the simulation of replication, and worlds to which it happens. */
import type { Member } from './simulated-member.ts';
import { type Kind, keyOf, mayDelete, writesTo } from './simulated-values.ts';
import { newTally, type Planted, type Tally, World } from './sync-simulation.ts';

const MEMBERS = 4;

export type StepName =
  | 'set'
  | 'batch'
  | 'big'
  | 'delete'
  | 'clear'
  | 'cut'
  | 'hold'
  | 'release'
  | 'silent'
  | 'down'
  | 'up'
  | 'slow'
  | 'quick'
  | 'fail'
  | 'reopen'
  | 'crash'
  | 'crashAt'
  | 'write'
  | 'writes'
  | 'count'
  | 'pass'
  | 'wait'
  | 'epoch'
  | 'restart'
  | 'sourceFails'
  | 'sourceSlows'
  | 'sourceHangs'
  | 'sourceGoesOn';

/** What can happen; `who` is a subscriber, and the rest means what each needs. */
export interface Step {
  readonly do: StepName;
  readonly who: number;
  readonly keys: readonly number[];
  readonly links: readonly number[];
  readonly ms: number;
  readonly odd: boolean;
}

type Action = (world: World, step: Step, member: Member) => unknown;

const batch: Action = async (world, { keys, links }) => {
  const { kind, state } = world;
  await world.writer.batch(writesTo(kind, state, keys, links, () => world.next(), ''));
};

/** What each step does. */
const ACTIONS: Readonly<Record<StepName, Action>> = {
  set: (world, step, member) => batch(world, { ...step, keys: step.keys.slice(0, 1) }, member),
  batch,
  big: async (world, { links }) => {
    const { kind, state } = world;
    const all = Array.from({ length: 12 }, (_, i) => i);
    const note = ' '.padEnd(60, '.');
    await world.writer.batch(writesTo(kind, state, all, links, () => world.next(), note));
  },
  delete: async (world, { keys: [key = 0] }) => {
    if (mayDelete(world.kind, world.state, keyOf(key))) await world.writer.delete(keyOf(key));
  },
  clear: async (world, { links }) => {
    for (const key of links)
      if (mayDelete(world.kind, world.state, keyOf(key))) await world.writer.delete(keyOf(key));
  },
  cut: (_, __, { line }) => line.cut(),
  hold: (_, { odd }, { line }) => line.hold(odd ? 'up' : 'down'),
  release: (_, { odd, ms }, { line }) => line.release(odd ? 'up' : 'down', 1 + (ms % 3)),
  silent: (_, __, { line }) => line.fallSilent(),
  down: (_, __, { line }) => {
    line.isDown = true;
  },
  up: (_, __, { line }) => {
    line.isDown = false;
  },
  slow: (_, { ms }, { plan }) => plan.delay('commit', ms),
  quick: (_, __, { plan }) => plan.delay('commit', 0),
  fail: (_, { odd }, { plan }) =>
    plan.failNext('commit', odd ? undefined : 'no-space', { applied: odd }),
  reopen: (_, __, member) => member.reopen(),
  crash: (_, __, member) => member.crash(),
  /** In the midst of a commit, which is done or not. */
  crashAt: async (world, step, member) => {
    member.plan.hangNext('commit', { applied: step.odd, after: step.ms % 3 });
    await batch(world, step, member);
    await world.env.advance(2);
    member.crash();
  },
  write: (world, { who, keys: [key = 0] }) =>
    world.write(who, (remote, value) => remote.set(keyOf(key), value)),
  writes: (world, { who, keys, odd }) =>
    world.write(who, (remote, value) =>
      odd || keys.length < 2
        ? remote.set(keyOf(keys[0] ?? 0), value, { if: 'absent' })
        : remote.batch([{ type: 'set', key: keyOf(keys[0] as number), value }]),
    ),
  count: (world, { who }) => {
    // Elsewhere a copy may lack what it counts.
    if (world.kind === 'whole' && world.members[who]?.init.prefix === '') world.count(who);
  },
  pass: (world, { ms }) => world.env.advance(ms),
  wait: (world, { ms }) => world.env.advance(ms * 20),
  /** As after a restore; with `odd` the server is gone for a moment. */
  epoch: async (world, { odd }) => {
    if (odd) for (const { line } of world.members) line.cut();
    await world.epochs.renew();
  },
  restart: (world, { odd, ms }) => world.restart(odd ? ms : undefined),
  sourceFails: ({ sourcePlan }, { odd, ms }) =>
    odd
      ? sourcePlan.failNext('commit', undefined, { applied: ms % 2 === 0 })
      : sourcePlan.failNext('feed'),
  sourceSlows: ({ sourcePlan }, { odd, ms }) =>
    sourcePlan.delay(odd ? 'feed' : 'scan', ms % 3 === 0 ? 0 : ms % 20),
  sourceHangs: ({ sourcePlan }, { odd }) => sourcePlan.hangNext('commit', { applied: odd }),
  sourceGoesOn: ({ sourcePlan }) => sourcePlan.release(),
};

/** Runs one world through steps; gives what was wrong. */
export async function runWorld(
  seed: number,
  kind: Kind,
  steps: readonly Step[],
  planted: Planted = {},
  tally: Tally = newTally(),
): Promise<readonly string[]> {
  const world = new World(seed, kind, planted);
  for (const step of steps) {
    const member = world.members[step.who % MEMBERS] as Member;
    await ACTIONS[step.do](world, step, member);
    await world.env.advance(1);
    if (world.wrong.length > 0) return world.wrong;
  }
  await world.heal();
  world.checkConverged();
  if (world.wrong.length > 0) return world.wrong;
  world.tally(tally);
  await world.close();
  world.checkWrites();
  return world.wrong;
}
