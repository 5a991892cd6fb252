import { memory, replica, type Store } from '../../src/index.ts';
import { FaultPlan, faulty } from '../../src/testing/index.ts';
import { type Caller, compareLatency } from '../lib/latency.ts';
import { type Comparison, type Contender, compare } from '../lib/measure.ts';
import { rateRow } from '../lib/rate-row.ts';
import type { Report, Suite } from '../lib/row.ts';

const DELAY_MS = 5;
const DELAYED_CALLS = 60;
const MEMBERS = 3;
const CALLS = 20_000;
const LISTED = 100_000;

const keyAt = (i: number): string => `key:${i.toString().padStart(8, '0')}`;
const plain = (): Store<number>[] => Array.from({ length: MEMBERS }, () => memory<number>());

/** A member every call of which takes 5 ms more. */
function delayed(): Store<number> {
  const plan = new FaultPlan().delay('commit', DELAY_MS).delay('read', DELAY_MS);
  return faulty(memory<number>(), plan);
}

async function withDelays(report: Report): Promise<void> {
  const alone = delayed();
  const store = replica({ sync: Array.from({ length: MEMBERS }, delayed) });
  await store.set('warm', 0);
  await store.flush();
  const writes = (immutable: boolean): Caller[] =>
    Object.entries({ alone, store }).map(([name, target]) => ({
      name,
      call: (i, round) =>
        target.set(`${immutable}:${round}:${keyAt(i)}`, i, immutable ? { immutable } : {}),
    }));
  const reads = Object.entries({ alone, store }).map(
    ([name, target]): Caller => ({ name, call: () => target.get('warm') }),
  );
  await alone.set('warm', 0);
  for (const [name, callers, most] of [
    ['write to 3 members, 5 ms each', writes(false), 1.15],
    ['the same, immutable', writes(true), 1.15],
    ['read from 3 members, 5 ms each', reads, 1.1],
  ] as const) {
    const result = await compareLatency(callers, { calls: DELAYED_CALLS, callers: 1, rounds: 3 });
    report({
      name,
      value: result.at('store', 50),
      unit: 'µs',
      against: 'one member',
      reference: result.at('alone', 50),
      ratio: result.ratio('store', 'alone', 50),
      goal: { of: 'ratio', least: 1 / most },
    });
  }
  await Promise.all([alone, store].map((one) => one.close()));
}

function calls(name: string, target: Store<number>, what: 'get' | 'set'): Contender {
  return {
    name: `${name} ${what}`,
    operations: CALLS,
    run: async (round) => {
      for (let i = 0; i < CALLS; i++)
        if (what === 'set') await target.set(keyAt(i), i + round);
        else await target.get(keyAt(i));
    },
    verify: async (round) => {
      if (what === 'set' && (await target.get(keyAt(7))) !== 7 + round)
        throw new Error(`${name} has another value`);
    },
  };
}

/** What a call costs beyond those of the members that it makes. */
async function ownCost(report: Report): Promise<void> {
  const alone = memory<number>();
  const store = replica({ sync: plain() });
  await store.set('warm', 0);
  await store.flush();
  const result: Comparison = await compare(
    (['set', 'get'] as const).flatMap((what) => [
      calls('alone', alone, what),
      calls('store', store, what),
    ]),
    3,
  );
  for (const [what, asked] of [
    ['set', MEMBERS],
    ['get', 1],
  ] as const) {
    const ofMembers = (asked * 1e6) / result.rate(`alone ${what}`);
    report({
      name: `${what} over 3 memory members, our own part`,
      value: 1e6 / result.rate(`store ${what}`) - ofMembers,
      unit: 'µs',
      against: `${asked} x memory`,
      reference: ofMembers,
      goal: { of: 'value', most: 3 },
    });
  }
  await Promise.all([alone, store].map((one) => one.close()));
}

async function lists(report: Report): Promise<void> {
  const entries = Array.from({ length: LISTED }, (_, i) => [keyAt(i), i] as const);
  const alone = memory<number>();
  const store = replica({ sync: plain() });
  for (const target of [alone, store]) await target.setMany(entries);
  await store.flush();
  const listed = (name: string, target: Store<number>): Contender => {
    let found = 0;
    return {
      name,
      operations: LISTED,
      run: async () => {
        found = 0;
        for await (const _ of target.list()) found++;
      },
      verify: () => {
        if (found !== LISTED) throw new Error(`${name} listed ${found}`);
      },
    };
  };
  const result = await compare([listed('memory', alone), listed('replica', store)], 3);
  report(
    rateRow(result, {
      name: 'list of 100,000 keys, 3 members',
      unit: 'entries/s',
      own: 'replica',
      against: 'memory',
      least: 0.5,
    }),
  );
  await Promise.all([alone, store].map((one) => one.close()));
}

export const replicaSuite: Suite = {
  name: 'replica',
  about: 'three synchronous members against one of them alone',
  async run(report) {
    await withDelays(report);
    await ownCost(report);
    await lists(report);
  },
};
