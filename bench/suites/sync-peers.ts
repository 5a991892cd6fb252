import { Latencies } from '../lib/latency.ts';
import { compare } from '../lib/measure.ts';
import type { Goal, Report, Suite } from '../lib/row.ts';
import { scaled } from '../lib/scaled.ts';
import { Ends, type Entrant, entrantsHere, tellMissing } from '../lib/sync-peers/ends.ts';
import { reportAll } from '../lib/sync-peers/report.ts';

const OWN = 'stratakv';
const BARE = 'bare ws frames';
const ROUNDS = 3;
const SUBSCRIBERS = 20;
const UPDATED_KEYS = 50_000;
const UPDATED_BYTES = 100;
const SINGLE_WRITES = scaled(50);
const LATENCY_ROUNDS = 5;

interface InitialSync {
  readonly keys: number;
  readonly bytes: number;
  readonly entrants: readonly Entrant[];
  readonly goals?: Partial<Record<string, Goal>>;
}

const initialSyncs: readonly InitialSync[] = [
  {
    keys: 100_000,
    bytes: 100,
    entrants: [
      { name: OWN },
      { name: 'stratakv from lmdb' },
      { name: BARE },
      { name: 'y-websocket' },
      { name: 'TinyBase', share: 0.05 },
      { name: 'PouchDB in one process', share: 0.1 },
      { name: 'NATS KV' },
      { name: 'Redis streams' },
    ],
    goals: {
      [OWN]: { of: 'value', least: 800_000 },
      'stratakv from lmdb': { of: 'value', least: 250_000 },
    },
  },
  {
    keys: 100_000,
    bytes: 1_000,
    entrants: [{ name: OWN }, { name: BARE }],
    goals: { [OWN]: { of: 'ratio', least: 0.6 } },
  },
  {
    keys: 10_000,
    bytes: 10_000,
    entrants: [
      { name: OWN },
      { name: 'stratakv from lmdb' },
      { name: BARE },
      { name: 'y-websocket' },
      { name: 'TinyBase', share: 0.5 },
      { name: 'PouchDB in one process', share: 0.5 },
      { name: 'NATS KV' },
      { name: 'Redis streams' },
    ],
  },
];

const fanOutEntrants: readonly Entrant[] = [
  { name: OWN },
  { name: BARE },
  { name: 'y-websocket', share: 0.1 },
  { name: 'TinyBase', share: 0.02 },
  { name: 'PouchDB in one process', share: 0.004 },
  { name: 'NATS KV', share: 0.2 },
  { name: 'Redis streams' },
];

/** Every round is a new process, as when a service or a page starts. */
async function initialSync(
  { keys, bytes, entrants, goals = {} }: InitialSync,
  report: Report,
): Promise<string[]> {
  const { here, missing } = entrantsHere(entrants);
  await using all = new AsyncDisposableStack();
  const contenders = [];
  for (const { name, share = 1 } of here) {
    const ends = all.use(await Ends.start(name));
    const operations = scaled(keys * share);
    const expected = { keys: operations, bytes, version: 1 };
    await ends.source.call('fill', operations, 1, bytes);
    contenders.push({
      name,
      operations,
      run: () =>
        ends.withOne(async (copy) => {
          const tookMs = await copy.call('connect', name, ends.address, 1, expected);
          await copy.call('verify', expected);
          return tookMs;
        }),
    });
  }
  const result = await compare(contenders, ROUNDS);
  reportAll(result, here, report, {
    title: 'initial sync',
    unit: 'keys/s',
    about: (share) => `${count(scaled(keys * share))} keys of ${count(bytes)} B`,
    goals,
  });
  return missing;
}

async function fanOut(report: Report): Promise<string[]> {
  const { here, missing } = entrantsHere(fanOutEntrants);
  await using all = new AsyncDisposableStack();
  const contenders = [];
  for (const { name, share = 1 } of here) {
    const ends = all.use(await Ends.start(name));
    const keys = scaled(UPDATED_KEYS * share);
    await ends.source.call('fill', keys, 0, UPDATED_BYTES);
    await ends.connect(SUBSCRIBERS, { keys, bytes: UPDATED_BYTES, version: 0 });
    contenders.push({
      name,
      operations: keys * SUBSCRIBERS,
      run: async (round: number) => {
        await ends.settle();
        return ends.spread(keys, round + 1, UPDATED_BYTES);
      },
      verify: async (round: number) => {
        const expected = { keys, bytes: UPDATED_BYTES, version: round + 1 };
        await ends.all((one) => one.call('verify', expected));
      },
    });
  }
  const result = await compare(contenders, ROUNDS);
  reportAll(result, here, report, {
    title: `updates to ${SUBSCRIBERS} subscribers`,
    unit: 'deliveries/s',
    about: (share) => `${count(scaled(UPDATED_KEYS * share))} keys of ${UPDATED_BYTES} B`,
    goals: { [OWN]: { of: 'value', least: 1_000_000 } },
  });
  return missing;
}

/** From the call of the writer until the last copy has told of it. */
async function singleWrite(report: Report): Promise<string[]> {
  const { here, missing } = entrantsHere(fanOutEntrants);
  await using all = new AsyncDisposableStack();
  const contenders: { readonly ends: Ends; heard: number }[] = [];
  for (const { name } of here) {
    const ends = all.use(await Ends.start(name));
    await ends.source.call('fill', 100, 0, UPDATED_BYTES);
    await ends.connect(SUBSCRIBERS, { keys: 100, bytes: UPDATED_BYTES, version: 0 });
    await ends.all((one) => one.call('watch', 0));
    contenders.push({ ends, heard: 0 });
  }
  const taken = new Map(here.map(({ name }) => [name as string, [] as number[][]]));
  for (let round = 0; round <= LATENCY_ROUNDS; round++) {
    for (const contender of contenders) {
      const { ends } = contender;
      const times: number[] = [];
      for (let i = 0; i < SINGLE_WRITES; i++) {
        const heard = ++contender.heard;
        const all = ends.all((one) => one.call('heardOf', heard));
        const startedMs = await ends.source.call('write', 1, heard, UPDATED_BYTES);
        times.push((Math.max(...(await all)) - startedMs) * 1_000);
      }
      const expected = { keys: 100, bytes: UPDATED_BYTES, version: 0, changed: 1 };
      const changedVersion = contender.heard;
      await ends.all((one) => one.call('verify', { ...expected, changedVersion }));
      if (round > 0) taken.get(ends.name)?.push(times.sort((a, b) => a - b));
    }
  }
  reportLatencies(new Latencies(taken), here, report);
  return missing;
}

function reportLatencies(result: Latencies, entrants: readonly Entrant[], report: Report): void {
  for (const { name } of entrants)
    report({
      name: `single write to ${SUBSCRIBERS} subscribers, p50: ${name}`,
      value: result.at(name, 50) / 1_000,
      unit: 'ms',
      ...(name !== BARE && {
        against: name === OWN ? BARE : OWN,
        reference: result.at(name === OWN ? BARE : OWN, 50) / 1_000,
        ratio: result.ratio(name, name === OWN ? BARE : OWN, 50),
      }),
      ...(name === OWN && { goal: { of: 'value', most: 2 } }),
    });
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

export const syncPeers: Suite = {
  name: 'sync-peers',
  about: 'replication beside y-websocket, TinyBase, PouchDB, NATS KV, Redis streams and bare ws',
  alone: true,
  async run(report) {
    const missing: string[] = [];
    for (const one of initialSyncs) missing.push(...(await initialSync(one, report)));
    missing.push(...(await fanOut(report)), ...(await singleWrite(report)));
    tellMissing(missing);
  },
};
