/** Every command that has keys, on a bare client and on an archived one: replies and data are the same. */
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  describeWithEngine,
  type RedisServer,
  startRedis,
} from '../../../../test/support/engines.ts';
import { FIXTURES, KEYS, SAMPLES, sampleCalls } from '../../../../test/support/redis-samples.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { type Archive, archive, redisKeys } from '../index.ts';
import {
  type CommandInfo,
  CommandTable,
  type KeyPlace,
  keyPlaces,
  placesFromReply,
} from './command-table.ts';
import { archivedRedis } from './index.ts';

type Send = (words: readonly string[]) => Promise<unknown>;
type Dumps = readonly { readonly key: Buffer; readonly payload: Buffer; readonly expiry: string }[];

/** Commands with keys that are refused, or are about channels. */
const WITHOUT_SAMPLES = new Set(
  'BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WATCH SPUBLISH SSUBSCRIBE SUNSUBSCRIBE'.split(
    ' ',
  ),
);
const BLOCKING = [
  ...['BLMOVE list nums LEFT RIGHT 1', 'BLMPOP 1 2 list nums LEFT', 'BLPOP list nums 1'],
  ...['BRPOP list 1', 'BRPOPLPUSH list nums 1', 'BZMPOP 1 2 zset new MIN', 'BZPOPMAX zset 1'],
  ...['BZPOPMIN zset new 1', 'XREAD BLOCK 1 STREAMS stream new 0 0'],
];
/** Of commands that wait for nothing long, and of wrong ones. */
const WAITING = [
  ...['BLPOP new 0.01', 'BLMPOP 0.01 1 new LEFT', 'BLMPOP 1 1 list RIGHT COUNT 2', 'BLPOP list x'],
  ...[
    'BLPOP str 1',
    'BRPOP list -1',
    'BLMOVE new list LEFT LEFT 0.01',
    'BLMOVE list str LEFT LEFT 1',
  ],
  ...['BZPOPMIN list 1', 'BZMPOP 1 1 zset MAX COUNT 2', 'BZPOPMAX new 0.01', 'BLPOP list'],
  ...[
    'XREAD BLOCK 5 STREAMS stream $',
    'XREAD BLOCK x STREAMS stream 0',
    'XREAD BLOCK 5 STREAMS str $',
  ],
  ...[
    'XREADGROUP GROUP grp bob BLOCK 5 STREAMS stream >',
    'XREADGROUP GROUP no bob BLOCK 5 STREAMS stream >',
  ],
  ...[
    'XREADGROUP GROUP grp ann BLOCK 5 STREAMS stream 0',
    'XREADGROUP GROUP grp bob BLOCK 5 STREAMS new >',
  ],
];
const LIBRARY = `#!lua name=samples
redis.register_function('touch', function(keys) return redis.call('APPEND', keys[1], 'x') end)
redis.register_function{function_name='look', callback=function(keys) return redis.call('GET', keys[1]) end, flags={'no-writes'}}`;

class World {
  readonly client: Redis;
  readonly safe: Archive;
  readonly archived: Record<string, Send> = {};
  readonly bare: Record<string, Send> = {};
  readonly #ends: (() => void)[] = [];
  hot: Dumps = [];
  evicted: Dumps = [];

  constructor(url: string) {
    this.client = new Redis(url);
    this.safe = archive({ hot: redisKeys(this.client), cold: memory<Uint8Array>(), throttleMs: 0 });
    this.#ends.push(() => this.client.disconnect());
  }

  async open(url: string): Promise<void> {
    for (const call of FIXTURES) await this.client.call(...(call.split(' ') as [string]));
    await this.client.call('FUNCTION', 'LOAD', LIBRARY);
    this.hot = await this.#dumps();
    const keys = this.hot.map(({ key }) => key);
    await this.safe.dirty(...keys);
    await this.safe.drain();
    expect(await this.safe.evict(...keys)).toMatchObject({ evicted: keys.length });
    this.evicted = await this.#dumps();
    this.#addIoredis(url);
    await this.#addNodeRedis(url);
  }

  /** The state before the next call. */
  async reset(dumps: Dumps): Promise<void> {
    const pipeline = this.client.pipeline();
    pipeline.flushall();
    for (const { key, payload, expiry } of dumps)
      pipeline.call('RESTORE', [key, expiry, payload, 'ABSTTL']);
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
  }

  /** What every key is, with its expiry. */
  async state(): Promise<Record<string, KeyState>> {
    // Digests are made of expired keys too, while they are there.
    await this.client.exists(...KEYS);
    const pipeline = this.client.pipeline();
    for (const key of KEYS) pipeline.call('DEBUG', 'DIGEST-VALUE', key).pexpiretime(key);
    const values = ((await pipeline.exec()) ?? []).map(([, value]) => value);
    const states = KEYS.map((key, at) => {
      const [digest, expiry] = [String(values[2 * at]), Number(values[2 * at + 1])];
      return [key, { digest, expiry }];
    });
    return Object.fromEntries(states);
  }

  async marked(): Promise<string[]> {
    return this.client.hkeys('strata-archive:marks');
  }

  async end(): Promise<void> {
    for (const end of this.#ends) end();
    await this.safe.close();
  }

  #addIoredis(url: string): void {
    const client = new Redis(url);
    const kv = archivedRedis(client, { archive: this.safe });
    this.bare.ioredis = ([name, ...rest]) => client.callBuffer(name as string, rest);
    this.archived.ioredis = ([name, ...rest]) => kv.callBuffer(name as string, rest);
    this.#ends.push(() => kv.disconnect());
  }

  async #addNodeRedis(url: string): Promise<void> {
    const client = createClient({ url, RESP: 3 });
    await client.connect();
    const kv = archivedRedis(client, { archive: this.safe });
    this.bare.RESP3 = (words) => client.sendCommand([...words]);
    this.archived.RESP3 = (words) => kv.sendCommand([...words]);
    this.#ends.push(() => kv.destroy());
  }

  async #dumps(): Promise<Dumps> {
    const keys = await this.client.keysBuffer('*');
    return Promise.all(
      keys.map(async (key) => ({
        key,
        payload: (await this.client.dumpBuffer(key)) as Buffer,
        expiry: String(Math.max(0, await this.client.pexpiretime(key))),
      })),
    );
  }
}

interface KeyState {
  readonly digest: string;
  readonly expiry: number;
}

/** Calls made one after another with the same time to live expire at nearly the same time. */
const TOLERANCE_MS = 120_000;

function changedKeys(before: Record<string, KeyState>, after: Record<string, KeyState>): string[] {
  return KEYS.filter((key) => {
    const [a, b] = [before[key] as KeyState, after[key] as KeyState];
    const sameTime =
      a.expiry === b.expiry ||
      (a.expiry > 0 && b.expiry > 0 && Math.abs(a.expiry - b.expiry) < TOLERANCE_MS);
    return a.digest !== b.digest || !sameTime;
  });
}

async function outcome(sent: Promise<unknown>): Promise<unknown> {
  return sent.catch((error: Error) => ({ error: error.message }));
}

describeWithEngine('redis-server', 'archivedRedis, command by command', () => {
  let server: RedisServer;
  let world: World;
  beforeAll(async () => {
    server = await startRedis({ args: ['--enable-debug-command', 'local'] });
    world = new World(server.url);
    await world.open(server.url);
  });
  afterAll(async () => {
    await world.end();
    await server.stop();
  });

  it('there are calls of every command that has keys', async () => {
    const table = (await world.client.call('COMMAND')) as unknown[][];
    const missing = table.flatMap((command) => {
      const name = String(command[0]).toUpperCase();
      const specs = [command, ...(command[9] as unknown[][])].flatMap((one) => one[8] as unknown[]);
      return specs.length === 0 || name in SAMPLES || WITHOUT_SAMPLES.has(name) ? [] : [name];
    });
    expect(missing).toEqual([]);
    expect(sampleCalls().length).toBeGreaterThan(500);
  });

  it('finds the keys that the server finds, and what may change them', async () => {
    const table = new CommandTable(await world.client.callBuffer('COMMAND'));
    const calls = [
      ...sampleCalls(),
      ...BLOCKING.map((call) => call.split(' ')),
      ['WATCH', 'str', 'num'],
    ];
    const differing: unknown[] = [];
    for (const words of calls) {
      const info = table.find(words) as CommandInfo;
      const found = keyPlaces(info, words);
      const told = await world.client
        .call('COMMAND', 'GETKEYSANDFLAGS', ...words)
        .then((reply) => placesFromReply(reply, words))
        // It says so of calls without keys, and of those that it would refuse.
        .catch(() => undefined);
      if (found === 'ask' || told === undefined || info.name === 'XREADGROUP') continue;
      const written = (places: readonly KeyPlace[]): Map<string, boolean> => {
        const keys = new Map<string, boolean>();
        for (const { at, writes } of places)
          keys.set(String(words[at]), writes || keys.get(String(words[at])) === true);
        return keys;
      };
      const [ours, theirs] = [written(found), written(told)];
      // Told of no keys: the call is wrong.
      if (theirs.size === 0) continue;
      const same = [...ours.keys()].sort().join() === [...theirs.keys()].sort().join();
      // Some calls of a command that may write are known to the server as those that only read.
      const isCautious = [...theirs].every(([key, writes]) => !writes || ours.get(key));
      if (!same || !isCautious) differing.push([words, found, told]);
    }
    expect(differing).toEqual([]);
  });

  it.each(['ioredis', 'RESP3'])(
    'replies and data are those of the bare client: %s',
    async (client) => {
      const [bare, archived] = [world.bare[client] as Send, world.archived[client] as Send];
      const differing: unknown[] = [];
      const waiting = [...BLOCKING, ...WAITING].map((call) => call.split(' '));
      for (const words of [...sampleCalls(), ...waiting]) {
        await world.reset(world.hot);
        const before = await world.state();
        const wanted = await outcome(bare(words));
        const after = await world.state();
        for (const state of ['hot', 'evicted'] as const) {
          await world.reset(world[state]);
          const given = await outcome(archived(words));
          const marked = await world.marked();
          await world.safe.ensure(...KEYS);
          const data = await world.state();
          try {
            expect(given, 'reply').toEqual(wanted);
            expect(changedKeys(after, data), 'data').toEqual([]);
            expect(marked).toEqual(expect.arrayContaining(changedKeys(before, after)));
          } catch (error) {
            differing.push([
              words.join(' '),
              state,
              wanted,
              given,
              (error as Error).message.slice(0, 1500),
            ]);
          }
        }
      }
      expect(differing).toEqual([]);
    },
    120_000,
  );
});
