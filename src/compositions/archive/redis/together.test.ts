/** Archived clients and evicting workers at once, against plain counters and maps. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../../test/support/archive-world.ts';
import { ArchivedClients } from '../../../../test/support/archived-clients.ts';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import type { Archive } from '../index.ts';

const KEYS = ['n0', 'n1', 'n2', 'n3'];

/** Evicts whatever it can until told to stop, and counts. */
class Evicting {
  evicted = 0;
  #stopped = false;
  #passes = 0;
  #passed = Promise.withResolvers<void>();
  readonly #done: Promise<void>;

  constructor(worker: Archive, keys: readonly string[]) {
    this.#done = this.#run(worker, keys);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  /** Resolves after a pass from here on: what nobody writes meanwhile is evicted by it. */
  async pass(): Promise<void> {
    const passes = this.#passes + 2;
    while (this.#passes < passes) await this.#passed.promise;
  }

  async #run(worker: Archive, keys: readonly string[]): Promise<void> {
    while (!this.#stopped) {
      await worker.drain();
      this.evicted += (await worker.evict(...keys)).evicted;
      this.#passes++;
      const { resolve } = this.#passed;
      this.#passed = Promise.withResolvers();
      resolve();
    }
  }
}

describeWithEngine('redis-server', 'archivedRedis, with others', () => {
  const on = new ArchiveServer();
  const clients = new ArchivedClients(on);

  it('loses no increment and reads nothing old while workers evict', async () => {
    const { one, another } = on.world();
    const workers = [another(), another()].map((worker) => new Evicting(worker, KEYS));
    const [a, b] = [clients.ioredis(one), await clients.nodeRedis(another())];
    const acknowledged = KEYS.map(() => 0);
    const made = KEYS.map(() => 0);
    const evictions = (): number => workers.reduce((sum, { evicted }) => sum + evicted, 0);
    const increment = async (client: 'a' | 'b', at: number): Promise<void> => {
      const key = KEYS[at] as string;
      // Until the workers have been in the way often enough, who may be slower than what is written.
      for (let n = 0; n < 40 || evictions() < 8; n++) {
        if (n >= 40) await workers[0]?.pass();
        const before = acknowledged[at] as number;
        const seen = Number(await (client === 'a' ? b.get(key) : a.get(key)));
        expect(seen, `${key} read`).toBeGreaterThanOrEqual(before);
        const value = client === 'a' ? await a.incr(key) : await b.incr(key);
        expect(value, `${key} incremented`).toBeGreaterThan(before);
        acknowledged[at] = Math.max(acknowledged[at] as number, value);
        made[at] = (made[at] as number) + 1;
        // Longer and longer, or workers on a busy machine never find a key that rests.
        if (n >= 40) await sleep(Math.min(100, n - 39));
      }
    };
    await Promise.all(
      KEYS.flatMap((_, at) => [increment('a', at), increment('b', at), increment('a', at)]),
    );
    for (const worker of workers) await worker.stop();
    expect(await a.mget(KEYS)).toEqual(made.map(String));
    expect(acknowledged).toEqual(made);
  });

  it('keeps the order of unawaited commands on a key, whatever is evicted meanwhile', async () => {
    const { one, another } = on.world();
    const worker = new Evicting(another(), ['list', 'other', 's']);
    const [a, b] = [clients.ioredis(one), await clients.nodeRedis(one)];
    for (let round = 0; round < 25 || worker.evicted < 4; round++) {
      if (round >= 25) await worker.pass();
      const replies = await Promise.all([
        a.del('list'),
        a.rpush('list', '1'),
        a.rpush('list', '2', '3'),
        a.lmove('list', 'other', 'LEFT', 'RIGHT'),
        a.lrange('list', 0, -1),
        a.incr('s'),
        a.set('s', '10'),
        a.incr('s'),
        a.get('s'),
        a.lrange('other', -1, -1),
      ]);
      expect(replies.slice(1)).toEqual([
        ...[1, 3, '1', ['2', '3']],
        ...[round === 0 ? 1 : 12, 'OK', 11, '11', ['1']],
      ]);
      expect(await Promise.all([b.incr('s'), b.lLen('other')])).toEqual([12 - 0, round + 1]);
      await b.set('s', String(11));
    }
    await worker.stop();
  });

  it('runs transactions whole, and on condition of what was watched', async () => {
    const { one, another } = on.world();
    const keys = ['from', 'to'];
    const worker = new Evicting(another(), keys);
    const [a, b] = [clients.ioredis(one), await clients.nodeRedis(another())];
    await a.mset('from', '1000', 'to', '0');
    const movedByA = async (): Promise<void> => {
      for (let n = 0; n < 60; n++) await a.multi().decr('from').incr('to').exec();
    };
    const looks = async (): Promise<void> => {
      for (let n = 0; n < 60; n++) {
        const [from, to] = await b.mGet(keys);
        expect(Number(from) + Number(to)).toBe(1000);
      }
    };
    let tries = 0;
    const movedOnCondition = async (): Promise<void> => {
      for (let moved = 0; moved < 20; ) {
        tries++;
        await b.watch(keys);
        const [from, to] = await b.mGet(keys);
        const done = await b
          .multi()
          .set('from', String(Number(from) - 1))
          .set('to', String(Number(to) + 1))
          .exec()
          .catch((error: Error) => {
            expect(error.constructor.name).toBe('WatchError');
            return null;
          });
        if (done !== null) moved++;
      }
    };
    await Promise.all([movedByA(), looks(), movedOnCondition()]);
    await worker.stop();
    expect(await a.mget(keys)).toEqual(['920', '80']);
    expect(tries).toBeGreaterThan(20);
  });

  it('loses and resurrects nothing while records are rebuilt and keys evicted', async () => {
    const { one, another } = on.world({ leaseMs: 50 });
    const evicting = new Evicting(another(), KEYS);
    const rebuilder = another();
    const kv = clients.ioredis(one);
    const expected = new Map<string, number>();
    for (let n = 0; n < 400; n++) {
      const key = KEYS[n % KEYS.length] as string;
      const rebuilding = rebuilder.rebuildIndex({ restore: n % 3 === 0 });
      if (n % 7 === 0) {
        await kv.del(key);
        expected.delete(key);
      } else {
        const next = (expected.get(key) ?? 0) + 1;
        expect(await kv.incr(key)).toBe(next);
        expected.set(key, next);
      }
      await rebuilding;
    }
    await evicting.stop();
    expect(evicting.evicted).toBeGreaterThan(10);
    await one.ensure(...KEYS);
    const values = await on.client.mGet(KEYS);
    expect(values).toEqual(KEYS.map((key) => expected.get(key)?.toString() ?? null));
  });
});
