import { Redis } from 'ioredis';
import { redis } from '../../src/drivers/redis/index.ts';
import { json, memory, tiered } from '../../src/index.ts';
import { type Caller, compareLatency, type Latencies } from '../lib/latency.ts';
import {
  type OpenPeer,
  openPeers,
  type Peer,
  type Sample,
  sample,
  tieredPeer,
} from '../lib/peers.ts';
import { startOrSkip } from '../lib/redis-or-skip.ts';
import type { Report, Suite } from '../lib/row.ts';

const KEYS = 2_000;
const ROUNDS = 5;
const STAMPEDE = 1_000;
const RAW = 'ioredis';
const DRIVER = 'its redis driver';

const keys = Array.from({ length: KEYS }, (_, i) => `user:${i.toString().padStart(8, '0')}`);
const keyAt = (i: number): string => keys[i] as string;

/** The bare client with the same encoding, as a peer. */
const openRaw: OpenPeer = async (url, prefix) => {
  const client = new Redis(url);
  return {
    name: RAW,
    hasFront: false,
    get: async (key) => {
      const text = await client.get(prefix + key);
      return text === null ? undefined : (JSON.parse(text) as Sample);
    },
    set: (key, value) => client.set(prefix + key, JSON.stringify(value)),
    close: async () => client.disconnect(),
  };
};

/** The back of ours without a front: what of the time is the driver's. */
const openDriver: OpenPeer = async (url, prefix) => {
  const store = redis({ url, prefix, codec: json<Sample>() });
  return {
    name: DRIVER,
    hasFront: false,
    get: (key) => store.get(key),
    set: (key, value) => store.set(key, value),
    close: () => store.close(),
  };
};

const contenders: Readonly<Record<string, OpenPeer>> = {
  tiered: tieredPeer('tiered'),
  [RAW]: openRaw,
  [DRIVER]: openDriver,
  ...openPeers,
};

/** The peers on one server, each with its own keys; a peer that is opened anew has a cold front. */
class Field {
  readonly #url: string;
  readonly #open = new Map<string, Peer>();

  constructor(url: string) {
    this.#url = url;
  }

  async reopen(name: string): Promise<Peer> {
    await this.#open.get(name)?.close();
    const peer = await (contenders[name] as OpenPeer)(this.#url, `${name}:`);
    this.#open.set(name, peer);
    return peer;
  }

  get(name: string): Peer {
    return this.#open.get(name) as Peer;
  }

  async fill(): Promise<void> {
    for (const name of Object.keys(contenders)) {
      const peer = await this.reopen(name);
      await Promise.all(keys.map((key, i) => peer.set(key, sample(i))));
    }
  }

  async close(): Promise<void> {
    for (const peer of this.#open.values()) await peer.close();
  }
}

function reads(field: Field, names: readonly string[], cold: boolean): Caller[] {
  return names.map((name) => ({
    name,
    prepare: async () => {
      if (!cold) return;
      const peer = await field.reopen(name);
      await peer.get('user:none');
    },
    call: async (i) => {
      const value = await field.get(name).get(keyAt(i));
      if (value?.id !== i) throw new Error(`${name}: ${keyAt(i)} has another value`);
    },
  }));
}

function writes(field: Field, names: readonly string[]): Caller[] {
  return names.map((name) => ({
    name,
    call: (i, round) => field.get(name).set(keyAt(i), { ...sample(i), round }),
  }));
}

interface Measure {
  readonly name: string;
  readonly against: 'peers' | typeof RAW;
  readonly least: number;
  readonly callers: readonly Caller[];
}

async function measure(field: Field, report: Report, callers: number): Promise<void> {
  const all = Object.keys(contenders);
  const fronted = all.filter((name) => field.get(name).hasFront);
  const within = callers === 1 ? 'alone' : `${callers} callers`;
  const plans: Measure[] = [
    { name: 'hit', against: 'peers', least: 1, callers: reads(field, fronted, false) },
    { name: 'miss', against: RAW, least: 1 / 1.15, callers: reads(field, all, true) },
    { name: 'set through', against: RAW, least: 1 / 1.25, callers: writes(field, all) },
  ];
  for (const plan of plans) {
    const result = await compareLatency(plan.callers, { calls: KEYS, callers, rounds: ROUNDS });
    const against = plan.against === RAW ? RAW : result.quickestBeside('tiered');
    const goal = { of: 'ratio', least: plan.least } as const;
    for (const percent of [50, 99] as const)
      report({
        name: `${plan.name}, ${within}, p${percent}`,
        value: result.at('tiered', percent),
        unit: 'µs',
        against,
        reference: result.at(against, percent),
        ratio: result.ratio('tiered', against, percent),
        ...(percent === 50 && { goal }),
      });
    if (plan.against === RAW) reportPeers(result, plan.name, within, report);
  }
}

/** Beside the bare client: the quickest of the other libraries, and the driver alone. */
function reportPeers(result: Latencies, name: string, within: string, report: Report): void {
  const peers = Object.keys(openPeers);
  const best = peers.reduce((a, b) => (result.at(b, 50) < result.at(a, 50) ? b : a));
  for (const against of [best, DRIVER])
    report({
      name: `${name}, ${within}, p50`,
      value: result.at('tiered', 50),
      unit: 'µs',
      against,
      reference: result.at(against, 50),
      ratio: result.ratio('tiered', against, 50),
    });
}

/** Many misses of one key at once: how many reads of the back they make. */
async function stampede(url: string, report: Report): Promise<void> {
  const client = new Redis(url);
  const back = redis({ url, prefix: 'stampede', codec: json<Sample>() });
  const store = tiered<Sample>({ front: memory(), back });
  await back.set('hot', sample(1));
  await back.set('other', sample(2));
  // A first copy, which learns the name of the back.
  await store.get('other');
  await back.cursor();
  await client.config('RESETSTAT');
  await Promise.all(Array.from({ length: STAMPEDE }, () => store.get('hot')));
  const stats = await client.info('commandstats');
  // The driver reads entries by HMGET, and so do its scripts, of which none runs here.
  const reads = Number(/cmdstat_hmget:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  report({
    name: `${STAMPEDE.toLocaleString('en')} misses of one key at once`,
    value: reads,
    unit: 'reads',
    goal: { of: 'value', least: 1, most: 1 },
  });
  client.disconnect();
  await store.close();
}

export const tiers: Suite = {
  name: 'tiers',
  about: 'tiered memory over Redis against other caches over the same server, 1 KB objects, JSON',
  async run(report) {
    const server = await startOrSkip();
    const field = new Field(server.url);
    try {
      await field.fill();
      for (const callers of [1, 64]) await measure(field, report, callers);
      await stampede(server.url, report);
    } finally {
      await field.close();
      await server.stop();
    }
  },
};
