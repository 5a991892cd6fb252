import { setTimeout as sleep } from 'node:timers/promises';
import { TcpProxy } from '../../test/support/tcp-proxy.ts';
import { median } from '../lib/measure.ts';
import type { Report, Suite } from '../lib/row.ts';
import { scaled } from '../lib/scaled.ts';
import { Ends } from '../lib/sync-peers/ends.ts';
import { fanOut } from '../lib/sync-peers/fan-out.ts';
import { type Entrant, Field } from '../lib/sync-peers/field.ts';
import type { PeerName } from '../lib/sync-peers/index.ts';
import { pausedReaders } from './paused-readers.ts';

const OWN = 'stratakv';
const BARE = 'bare ws frames';
const BYTES = 100;
const KEY_BYTES = 16;
const ROUNDS = 3;

const SUBSCRIBERS = scaled(1_000);
const UPDATED_KEYS = scaled(2_000);

const fanOutEntrants: readonly Entrant[] = [
  { name: OWN },
  { name: BARE },
  { name: 'y-websocket', share: 0.05 },
  { name: 'NATS KV', share: 0.05 },
  { name: 'Redis streams', share: 0.25 },
];

const RESUMED_KEYS = 1_000_000;
const CHANGES = 100;
const RESUMES = 5;
const resumeEntrants: readonly Entrant[] = [
  { name: OWN },
  { name: 'y-websocket', share: 0.1 },
  { name: 'TinyBase', share: 0.005 },
  { name: 'PouchDB in one process', share: 0.01 },
  { name: 'NATS KV', share: 0.1 },
  { name: 'Redis streams' },
];

interface Resumed {
  readonly ms: number;
  /** Both ways; 0 where there is no socket. */
  readonly bytes: number;
}

/** A copy goes, misses some changes, and comes back: for the time directly, for the bytes through a proxy. */
async function resumeOne(name: PeerName, keys: number): Promise<Resumed> {
  await using ends = await Ends.start(name);
  await ends.source.call('fill', keys, 1, BYTES);
  const whole = { keys, bytes: BYTES, version: 1 };
  await ends.connect(1, whole);
  const ask = { ...whole, changed: Math.min(CHANGES, keys) };
  const again = async (address: string, changedVersion: number): Promise<number> => {
    await ends.all((one) => one.call('disconnect'));
    await ends.source.call('write', ask.changed, changedVersion, BYTES);
    await ends.settle();
    const expected = { ...ask, changedVersion };
    const [ms = Number.NaN] = await ends.all((one) => one.call('resume', address, expected));
    await ends.all((one) => one.call('verify', expected));
    return ms;
  };
  const times: number[] = [];
  for (let i = 0; i < RESUMES; i++) times.push(await again(ends.address, 2 + i));
  const ms = median(times);
  const port = /:(\d+)/.exec(ends.address)?.[1];
  if (port === undefined) return { ms, bytes: 0 };
  const proxy = await TcpProxy.start(Number(port));
  try {
    await again(ends.address.replace(/:\d+/, `:${proxy.port}`), 2 + RESUMES);
    await ends.all((one) => one.call('disconnect'));
    return { ms, bytes: proxy.passed.toClient + proxy.passed.toServer };
  } finally {
    await proxy.stop();
  }
}

async function resume(field: Field, report: Report): Promise<void> {
  const ofChanges = CHANGES * (KEY_BYTES + BYTES);
  for (const { name, share = 1 } of field.here(resumeEntrants)) {
    const keys = scaled(RESUMED_KEYS * share);
    const resumed = await field.try(name, () => resumeOne(name, keys));
    if (resumed === undefined) continue;
    const { ms, bytes } = resumed;
    const title = `resume after ${CHANGES} changes among ${keys.toLocaleString('en')} keys: ${name}`;
    const own = name === OWN;
    report({
      name: title,
      value: ms,
      unit: 'ms',
      ...(own && { goal: { of: 'value', most: 50 } }),
    });
    if (bytes === 0) continue;
    report({
      name: title,
      value: bytes,
      unit: 'socket bytes',
      against: 'keys and values',
      reference: ofChanges,
      ratio: ofChanges / bytes,
      ...(own && { goal: { of: 'value', most: 1.3 * ofChanges } }),
    });
  }
}

const IDLE = scaled(1_000);
/** Until both sides have nothing more to do for those who have connected. */
const IDLE_MS = 2_000;

/** What is alive in a source for each connection that does nothing. */
async function idleBytes(name: typeof OWN | typeof BARE): Promise<number> {
  await using ends = await Ends.start(name);
  const expected = { keys: 1, bytes: BYTES, version: 1 };
  await ends.source.call('fill', 1, 1, BYTES);
  await ends.connect(1, expected, 1);
  await sleep(IDLE_MS);
  const before = await ends.source.call('retainedBytes');
  await ends.connect(IDLE, expected, 1);
  await sleep(IDLE_MS);
  return ((await ends.source.call('retainedBytes')) - before) / IDLE;
}

async function idleSubscribers(report: Report): Promise<void> {
  const [own, bare] = [await idleBytes(OWN), await idleBytes(BARE)];
  report({
    name: `memory of each of ${IDLE.toLocaleString('en')} idle subscribers, above a bare connection`,
    value: (own - bare) / 1_000,
    unit: 'kB',
    against: 'the bare connection',
    reference: bare / 1_000,
    ratio: bare / (own - bare),
    goal: { of: 'value', most: 6 },
  });
}

export const syncScale: Suite = {
  name: 'sync-scale',
  about: 'replication to 1,000 subscribers, resumes among 1,000,000 keys, paused and idle readers',
  alone: true,
  async run(report) {
    const field = new Field();
    await fanOut(
      field,
      {
        subscribers: SUBSCRIBERS,
        entrants: fanOutEntrants,
        keysOf: (share) => Math.ceil(UPDATED_KEYS * share),
        bytes: BYTES,
        rounds: ROUNDS,
        goal: { of: 'ratio', least: 0.6 },
      },
      report,
    );
    await resume(field, report);
    await pausedReaders(field, report);
    await idleSubscribers(report);
    field.tellMissing();
  },
};
