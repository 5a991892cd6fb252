import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { createCache } from 'cache-manager';
import { Cacheable } from 'cacheable';
import Keyv from 'keyv';
import { createStorage } from 'unstorage';
import { memory, tiered } from '../../src/index.ts';
import type { StoreWithBlocking } from '../../src/store/store.ts';
import { type Contender, compare } from '../lib/measure.ts';
import { type Sample, sample } from '../lib/peers.ts';
import { rateRow } from '../lib/rate-row.ts';
import type { Report, Suite } from '../lib/row.ts';

const KEYS = 10_000;
const REFERENCE_READS = 200_000;
const COPY_READS = 20_000;
const BLOCKING_READS = 2_000_000;

const keys = Array.from({ length: KEYS }, (_, i) => `user:${i.toString().padStart(8, '0')}`);
/** Scattered: a prime apart, so that every key has its turn. */
const indexOf = (i: number): number => (i * 7919) % KEYS;

type Get = (key: string) => unknown;

/** Checks that a peer answers as those that it is compared with: with the same object, or a copy. */
async function checkLike(name: string, get: Get, hands: 'references' | 'copies'): Promise<void> {
  const key = keys[1] as string;
  const [first, second] = [await get(key), await get(key)] as (Sample | undefined)[];
  if (first?.id !== 1) throw new Error(`${name}: a hit was a miss`);
  const same = first === second;
  if (same !== (hands === 'references')) throw new Error(`${name} does not hand out ${hands}`);
}

function reader(name: string, get: Get, operations: number): Contender {
  let ids = 0;
  return {
    name,
    operations,
    run: async () => {
      ids = 0;
      for (let i = 0; i < operations; i++)
        ids += ((await get(keys[indexOf(i)] as string)) as Sample).id;
    },
    verify: () => checkIds(name, ids, operations),
  };
}

/** The sum of the ids says that every read gave the value of its key. */
function checkIds(name: string, ids: number, reads: number): void {
  let right = 0;
  for (let i = 0; i < reads; i++) right += indexOf(i);
  if (ids !== right) throw new Error(`${name}: values of other keys`);
}

async function warmTiered(zeroCopy: boolean): Promise<StoreWithBlocking<Sample>> {
  const store = tiered<Sample>({ front: memory({ zeroCopy }), back: memory({ zeroCopy }) });
  for (const [i, key] of keys.entries()) await store.set(key, sample(i));
  return store as StoreWithBlocking<Sample>;
}

function memoryBento(serialize: boolean): BentoCache<{ cache: ReturnType<typeof bentostore> }> {
  const front = memoryDriver({ maxItems: 2 * KEYS, serialize } as never);
  return new BentoCache({ default: 'cache', stores: { cache: bentostore().useL1Layer(front) } });
}

async function byReference(report: Report): Promise<void> {
  const store = await warmTiered(true);
  const manager = createCache();
  const keyv = new Keyv();
  keyv.serialize = undefined;
  keyv.deserialize = undefined;
  const storage = createStorage();
  const bento = memoryBento(false);
  for (const [i, key] of keys.entries()) {
    await manager.set(key, sample(i));
    await keyv.set(key, sample(i));
    await storage.setItemRaw(key, sample(i));
    await bento.set({ key, value: sample(i) });
  }
  await contest('references', 'tiered hit, by reference', REFERENCE_READS, report, {
    tiered: (key) => store.get(key),
    'cache-manager': (key) => manager.get(key),
    keyv: (key) => keyv.get(key),
    unstorage: (key) => storage.getItemRaw(key),
    bentocache: (key) => bento.get({ key }),
  });
}

async function byCopy(report: Report): Promise<void> {
  const store = await warmTiered(false);
  const keyv = new Keyv();
  const storage = createStorage<string>();
  const bento = memoryBento(true);
  const cacheable = new Cacheable();
  for (const [i, key] of keys.entries()) {
    await keyv.set(key, sample(i));
    await storage.setItem(key, JSON.stringify(sample(i)));
    await bento.set({ key, value: sample(i) });
    await cacheable.set(key, sample(i));
  }
  await contest('copies', 'tiered hit, copied', COPY_READS, report, {
    tiered: (key) => store.get(key),
    keyv: (key) => keyv.get(key),
    unstorage: (key) => storage.getItem(key),
    bentocache: (key) => bento.get({ key }),
    cacheable: (key) => cacheable.get(key),
  });
}

async function contest(
  hands: 'references' | 'copies',
  name: string,
  reads: number,
  report: Report,
  gets: Readonly<Record<string, Get>>,
): Promise<void> {
  for (const [peer, get] of Object.entries(gets)) await checkLike(peer, get, hands);
  const result = await compare(
    Object.entries(gets).map(([peer, get]) => reader(peer, get, reads)),
    7,
  );
  const against = result.fastestBeside('tiered');
  report(rateRow(result, { name, unit: 'gets/s', own: 'tiered', against, least: 1 }));
}

async function blocking(report: Report): Promise<void> {
  const { blocking: store } = await warmTiered(true);
  const map = new Map(keys.map((key, i) => [key, sample(i)]));
  const loop = (name: string, get: Get): Contender => {
    let ids = 0;
    return {
      name,
      operations: BLOCKING_READS,
      run: () => {
        ids = 0;
        for (let i = 0; i < BLOCKING_READS; i++)
          ids += (get(keys[indexOf(i)] as string) as Sample).id;
      },
      verify: () => checkIds(name, ids, BLOCKING_READS),
    };
  };
  const result = await compare([
    loop('blocking', (key) => store.get(key)),
    loop('Map.get', (key) => map.get(key)),
  ]);
  const name = 'tiered blocking.get hit';
  const own = 'blocking';
  report(rateRow(result, { name, unit: 'gets/s', own, against: 'Map.get', least: 1 / 3 }));
}

export const hits: Suite = {
  name: 'hits',
  about: `hits in the memory front of a tiered store, 1 KB objects, ${KEYS.toLocaleString('en')} keys`,
  async run(report) {
    await byReference(report);
    await byCopy(report);
    await blocking(report);
  },
};
