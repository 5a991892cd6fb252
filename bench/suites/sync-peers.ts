import { Latencies } from '../lib/latency.ts';
import { type Contender, compare } from '../lib/measure.ts';
import type { Goal, Report, Suite } from '../lib/row.ts';
import { scaled } from '../lib/scaled.ts';
import type { Ends } from '../lib/sync-peers/ends.ts';
import { fanOut } from '../lib/sync-peers/fan-out.ts';
import { type Entrant, Field } from '../lib/sync-peers/field.ts';
import { reportAll } from '../lib/sync-peers/report.ts';

const OWN = 'stratakv';
const BARE = 'bare ws frames';
const ROUNDS = 3;
const SUBSCRIBERS = 20;
const UPDATED_KEYS = 50_000;
const UPDATED_BYTES = 100;
const SINGLE_WRITES = scaled(50);
const LATENCY_ROUNDS = 5;
/** What every copy holds while single writes are measured. */
const HELD_KEYS = 100;

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
      // It sends no more than 16 MiB at once.
      { name: 'TinyBase', share: 0.1 },
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
  field: Field,
  { keys, bytes, entrants, goals = {} }: InitialSync,
  report: Report,
): Promise<void> {
  await using all = new AsyncDisposableStack();
  const contenders: Contender[] = [];
  for (const { name, share = 1 } of field.here(entrants)) {
    const expected = { keys: scaled(keys * share), bytes, version: 1 };
    const ends = await field.open(all, name, (opened) =>
      opened.source.call('fill', expected.keys, 1, bytes),
    );
    if (ends === undefined) continue;
    const syncOne = (): Promise<number> =>
      ends.withOne(async (copy) => {
        const tookMs = await copy.call('connect', name, ends.address, 1, expected);
        await copy.call('verify', expected);
        return tookMs;
      });
    contenders.push({
      name,
      operations: expected.keys,
      run: async () => (await field.try(name, syncOne)) ?? Number.NaN,
    });
  }
  const result = await compare(contenders, ROUNDS);
  reportAll(result, field.still(entrants), report, {
    title: 'initial sync',
    unit: 'keys/s',
    about: (share) => `${count(scaled(keys * share))} keys of ${count(bytes)} B`,
    goals,
  });
}

/** From the call of the writer until the last copy has told of it. */
async function singleWrite(field: Field, report: Report): Promise<void> {
  await using all = new AsyncDisposableStack();
  const contenders: Ends[] = [];
  for (const { name } of field.here(fanOutEntrants)) {
    const ends = await field.open(all, name, async (opened) => {
      await opened.source.call('fill', HELD_KEYS, 0, UPDATED_BYTES);
      await opened.connect(SUBSCRIBERS, { keys: HELD_KEYS, bytes: UPDATED_BYTES, version: 0 });
      await opened.all((one) => one.call('watch', 0));
    });
    if (ends !== undefined) contenders.push(ends);
  }
  const taken = new Map(contenders.map(({ name }) => [name as string, [] as number[][]]));
  for (let round = 0; round <= LATENCY_ROUNDS; round++) {
    for (const ends of contenders) {
      const times = await field.try(ends.name, () => writeAlone(ends, round * SINGLE_WRITES));
      if (round > 0 && times !== undefined) taken.get(ends.name)?.push(times);
    }
  }
  reportLatencies(new Latencies(taken), field.still(fanOutEntrants), report);
}

/** The times of several writes, one after another, in µs from the shortest on. */
async function writeAlone(ends: Ends, before: number): Promise<number[]> {
  const times: number[] = [];
  for (let version = before + 1; version <= before + SINGLE_WRITES; version++) {
    const heard = ends.all((one) => one.call('heardOf', version));
    const startedMs = await ends.source.call('write', 1, version, UPDATED_BYTES);
    times.push((Math.max(...(await heard)) - startedMs) * 1_000);
  }
  const changedVersion = before + SINGLE_WRITES;
  const expected = { keys: HELD_KEYS, bytes: UPDATED_BYTES, version: 0, changed: 1 };
  await ends.all((one) => one.call('verify', { ...expected, changedVersion }));
  return times.sort((a, b) => a - b);
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
    const field = new Field();
    for (const one of initialSyncs) await initialSync(field, one, report);
    await fanOut(
      field,
      {
        subscribers: SUBSCRIBERS,
        entrants: fanOutEntrants,
        keysOf: (share) => scaled(UPDATED_KEYS * share),
        bytes: UPDATED_BYTES,
        rounds: ROUNDS,
        goal: { of: 'value', least: 1_000_000 },
      },
      report,
    );
    await singleWrite(field, report);
    field.tellMissing();
  },
};
