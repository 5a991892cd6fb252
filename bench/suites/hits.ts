import { createCache } from 'cache-manager';
import Keyv from 'keyv';
import { createStorage } from 'unstorage';
import { memory, tiered } from '../../src/index.ts';
import { compare } from '../lib/measure.ts';
import type { Row, Suite } from '../lib/row.ts';

const KEYS = 10_000;
const READS = 200_000;

/** About 1 KB of JSON. */
function sample(i: number): object {
  return {
    id: i,
    name: `user ${i}`,
    tags: ['alpha', 'beta', 'gamma'],
    profile: { city: 'Lisbon', score: i * 1.5, active: i % 2 === 0 },
    text: 'lorem ipsum '.repeat(70),
  };
}

const keys = Array.from({ length: KEYS }, (_, i) => `user:${i.toString().padStart(8, '0')}`);
const pick = (i: number): string => keys[(i * 7919) % KEYS] as string;

let sink: unknown;

function reader(name: string, get: (key: string) => unknown, reads: number = READS) {
  const run = async (): Promise<void> => {
    for (let i = 0; i < reads; i++) sink = await get(pick(i));
    if (sink === undefined || sink === null) throw new Error(`${name}: a hit was a miss`);
  };
  return { name, operations: reads, run };
}

async function warmTiered(zeroCopy: boolean) {
  const store = tiered<object>({ front: memory({ zeroCopy }), back: memory({ zeroCopy }) });
  for (const [i, key] of keys.entries()) await store.set(key, sample(i));
  return store;
}

async function byReference(report: (row: Row) => void): Promise<void> {
  const store = await warmTiered(true);
  const manager = createCache();
  const keyv = new Keyv({ serialization: false } as ConstructorParameters<typeof Keyv>[0]);
  for (const [i, key] of keys.entries()) {
    await manager.set(key, sample(i));
    await keyv.set(key, sample(i));
  }
  const rates = await compare([
    reader('tiered', (key) => store.get(key)),
    reader('cache-manager', (key) => manager.get(key)),
    reader('keyv', (key) => keyv.get(key)),
  ]);
  reportAgainstFastest(rates, 'tiered hit, by reference', report);
}

async function byCopy(report: (row: Row) => void): Promise<void> {
  const reads = READS / 10;
  const store = await warmTiered(false);
  const keyv = new Keyv();
  const storage = createStorage();
  for (const [i, key] of keys.entries()) {
    await keyv.set(key, sample(i));
    await storage.setItem(key, sample(i) as never);
  }
  const rates = await compare([
    reader('tiered', (key) => store.get(key), reads),
    reader('keyv', (key) => keyv.get(key), reads),
    reader('unstorage', (key) => storage.getItem(key), reads),
  ]);
  reportAgainstFastest(rates, 'tiered hit, copied', report);
}

function reportAgainstFastest(
  rates: Map<string, number>,
  name: string,
  report: (row: Row) => void,
): void {
  const own = rates.get('tiered') ?? Number.NaN;
  const [fastest, rate] = [...rates]
    .filter(([peer]) => peer !== 'tiered')
    .reduce((best, next) => (next[1] > best[1] ? next : best));
  const goal = { of: 'ratio', least: 1 / 1.5 } as const;
  report({ name, value: own, unit: 'gets/s', reference: fastest, ratio: own / rate, goal });
}

async function blocking(report: (row: Row) => void): Promise<void> {
  const { blocking: store } = await warmTiered(true);
  const map = new Map(keys.map((key, i) => [key, sample(i)]));
  const reads = READS * 10;
  const loop = (name: string, get: (key: string) => unknown) => ({
    name,
    operations: reads,
    run: () => {
      for (let i = 0; i < reads; i++) sink = get(pick(i));
    },
  });
  const rates = await compare([
    loop('blocking', (key) => store.get(key)),
    loop('Map', (key) => map.get(key)),
  ]);
  const own = rates.get('blocking') ?? Number.NaN;
  report({
    name: 'tiered blocking.get hit, by reference',
    value: own,
    unit: 'gets/s',
    reference: 'Map.get',
    ratio: own / (rates.get('Map') ?? Number.NaN),
    goal: { of: 'ratio', least: 1 / 3 },
  });
}

export const hits: Suite = {
  name: 'hits',
  about: `a hit in the memory front of a tiered store, 1 KB objects, ${KEYS.toLocaleString('en')} keys`,
  async run(report) {
    await byReference(report);
    await byCopy(report);
    await blocking(report);
  },
};
