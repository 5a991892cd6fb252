/**
 * A process of its own with a tiered store that follows a back which others use as well: it writes
 * in every way, says `done`, and tells what it sees when it is asked to, by a line on its input.
 */
import { createInterface } from 'node:readline';
import { tiered } from '../../src/compositions/tiered/index.ts';
import { lmdb } from '../../src/drivers/lmdb/index.ts';
import { memory } from '../../src/drivers/memory/index.ts';
import { redis } from '../../src/drivers/redis/index.ts';
import { isStrataError, json, type Store } from '../../src/store/index.ts';

export interface FollowingOptions {
  readonly engine: 'lmdb' | 'redis';
  /** Path or address. */
  readonly at: string;
  readonly prefix: string;
  readonly name: string;
  readonly seed: number;
  readonly operations: number;
}

/** What the process tells in the end. */
export interface FollowingReport {
  /** What it reads through its store, and the copies that its front has, by key. */
  readonly seen: Readonly<Record<string, unknown>>;
  readonly copies: Readonly<Record<string, unknown>>;
  /** Readings of a counter that were below an earlier one. */
  readonly backwards: number;
  /** How long after it was written a beacon of the other process was in the front, in ms, ascending. */
  readonly lagsMs: readonly number[];
}

const DATA_KEYS = 40;

function backOf({ engine, at, prefix }: FollowingOptions): Store<unknown> {
  return engine === 'lmdb'
    ? lmdb({ path: at, codec: json() })
    : redis({ url: at, prefix, codec: json() });
}

/** A small generator of whole numbers below a limit, the same for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
}

async function write(
  store: Store<unknown>,
  random: (below: number) => number,
  value: string,
): Promise<unknown> {
  const key = `data/${random(DATA_KEYS)}`;
  const other = `data/${random(DATA_KEYS)}`;
  switch (random(10)) {
    case 0:
      return store.delete(key);
    case 1:
      return store.update(key, (old) => `${old ?? ''}`.slice(-20) + value);
    case 2:
      return store.batch([
        { type: 'set', key, value },
        { type: 'delete', key: other },
      ]);
    case 3:
      return store.setMany([
        [key, value],
        [other, value],
      ]);
    case 4:
      return store.deleteMany([key, other]);
    case 5:
      return random(20) === 0 ? store.clear({ prefix: 'data/1' }) : store.delete(other);
    case 6:
      return store.set(key, value, { ttlMs: 1 + random(30) });
    case 7:
      return store.set(key, value, { if: 'absent' });
    case 8: {
      const entry = await store.getEntry(key);
      return entry && store.set(key, value, { if: { version: entry.version } });
    }
    default:
      return store.set(key, value);
  }
}

async function main(options: FollowingOptions): Promise<void> {
  const { name, seed, operations } = options;
  const random = randomOf(seed);
  const front = memory<unknown>();
  const store = tiered({ front, back: backOf(options), follow: true });
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const counters = new Map<string, number>();
  let backwards = 0;
  const lagsMs: number[] = [];
  const watching = (async () => {
    for await (const { writes } of front.watch({ prefix: 'beacon/' }))
      for (const { key, ...written } of writes)
        if (key !== `beacon/${name}` && 'value' in written)
          lagsMs.push(performance.timeOrigin + performance.now() - (written.value as number));
  })();
  const readCounters = async (): Promise<void> => {
    for (const [key, value] of await store.getMany(['count/one', 'count/two'])) {
      if ((value as number) < (counters.get(key) ?? 0)) backwards++;
      counters.set(key, Math.max(value as number, counters.get(key) ?? 0));
    }
  };
  await readCounters();
  process.stdout.write('ready\n');
  await lines.next();
  for (let n = 0; n < operations; n++) {
    try {
      await write(store, random, `${name} ${n}`);
    } catch (error) {
      if (!isStrataError(error, 'conflict')) throw error;
    }
    await store.update(`count/${name}`, (count) => ((count as number | undefined) ?? 0) + 1);
    await readCounters();
    await store.get(`data/${random(DATA_KEYS)}`);
    if (n % 5 !== 0) continue;
    await store.getMany(['beacon/one', 'beacon/two']);
    await store.set(`beacon/${name}`, performance.timeOrigin + performance.now());
  }
  process.stdout.write('done\n');
  await lines.next();
  const keys = Array.from({ length: DATA_KEYS }, (_, n) => `data/${n}`);
  const report: FollowingReport = {
    seen: Object.fromEntries(await store.getMany([...keys, 'count/one', 'count/two'])),
    copies: Object.fromEntries(
      (await Array.fromAsync(front.list())).map(({ key, value }) => [key, value]),
    ),
    backwards,
    lagsMs: lagsMs.toSorted((x, y) => x - y),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  await lines.next();
  // From here on nothing but the follower is under way: it keeps no process alive.
  process.stdin.destroy();
  watching.catch(() => {});
  if (options.engine !== 'lmdb') await store.close();
}

await main(JSON.parse(process.argv[2] as string));
