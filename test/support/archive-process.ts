/**
 * A process that works on an archive and dies: address of Redis, path of the cold store, namespace,
 * what it does, and the step before or after which it kills itself, such as `settle:before`.
 */
import { createClient, type RedisArgument } from 'redis';
import { type Archive, archive, redisKeys } from '../../src/compositions/archive/index.ts';
import { SOURCES } from '../../src/compositions/archive/lua.ts';
import { lmdb } from '../../src/drivers/lmdb/index.ts';
import type { NodeRedisClient } from '../../src/drivers/redis/index.ts';
import type { Store } from '../../src/store/store.ts';

const [url = '', path = '', namespace = '', action = '', dieAt = ''] = process.argv.slice(2);
const KEYS = Array.from({ length: 20 }, (_, n) => `${namespace}.${n}`);

/** Runs a step, unless it is the end. */
async function through<T>(step: string, work: () => Promise<T>): Promise<T> {
  const die = (): never => {
    process.kill(process.pid, 'SIGKILL');
    throw new Error('dead');
  };
  if (dieAt === `${step}:before`) die();
  const result = await work();
  if (dieAt === `${step}:after`) die();
  return result;
}

function watchedClient(): NodeRedisClient {
  const client = createClient({ url });
  const names = new Map<string, string>();
  const duplicate = client.duplicate.bind(client);
  client.duplicate = (overrides) => {
    const made = duplicate(overrides);
    const send: (args: readonly RedisArgument[]) => Promise<never> = made.sendCommand.bind(made);
    made.sendCommand = async (args) => {
      if (args[0] === 'EVALSHA') return through(names.get(String(args[1])) ?? '', () => send(args));
      const answer = await send(args);
      if (args[0] === 'SCRIPT')
        for (const [name, source] of SOURCES)
          if (source === args[2]) names.set(String(answer), name.replace(/(Logical|Each)$/, ''));
      return answer;
    };
    return made;
  };
  return client;
}

function watchedStore(store: Store<Uint8Array>): Store<Uint8Array> {
  return new Proxy(store, {
    get: (target, name) => {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      const call = value.bind(target);
      if (name === 'set') return (...args: unknown[]) => through('put', () => call(...args));
      if (name === 'getEntry') return (...args: unknown[]) => through('find', () => call(...args));
      return call;
    },
  });
}

/** Works for ever, in disorder. */
async function work(one: Archive): Promise<void> {
  const retry = { firstMs: 5, mostMs: 20 };
  one.worker({ idleMs: 3, retry, leaseMs: 200, throttleMs: 0, concurrency: 4 });
  process.stdout.write('working\n');
  for (;;) {
    const key = KEYS[Math.floor(Math.random() * KEYS.length)] as string;
    if (Math.random() < 0.7) await one.evict(key);
    else await one.ensure(key);
  }
}

const hot = redisKeys(watchedClient(), { namespace });
const cold = watchedStore(lmdb({ path, durability: 'os' }));
const one = archive({ hot, cold, leaseMs: 200, throttleMs: 0 });
const key = `${namespace}.0`;
if (action === 'work') await work(one);
if (action === 'dirty') await one.dirty(key);
if (action === 'drain') await one.drain();
if (action === 'evict') await one.evict(key);
if (action === 'ensure') await one.ensure(key);
if (action === 'forget') await one.forget(key);
process.exit(0);
