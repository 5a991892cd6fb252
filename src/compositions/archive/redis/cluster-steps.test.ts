/** What happens in a cluster between the steps of one command. */
import { Cluster } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import {
  type ClusterNode,
  type RedisCluster,
  startRedisCluster,
} from '../../../../test/support/redis-cluster.ts';
import { type Before, slowPorts } from '../../../../test/support/slow-ports.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { systemEnv } from '../../../store/system-env.ts';
import type { ClusterConnection } from '../cluster/cluster-connection.ts';
import { ioRedisClusterPorts } from '../cluster/cluster-ports.ts';
import { slotOf } from '../cluster/hash-slots.ts';
import { SlotList } from '../cluster/slot-list.ts';
import { SlotScripts, slotKeys } from '../cluster/slot-scripts.ts';
import { type Archive, archive, redisKeys } from '../index.ts';
import { ClusterLink } from './cluster-link.ts';
import { portsLikeIoRedis } from './ioredis.ts';
import type { GuardedArchive } from './routes.ts';
import { Session } from './session.ts';

const NAMESPACE = 'strata-archive';
const SLOT = slotOf(Buffer.from('n'));
const OWN = slotKeys(NAMESPACE, SLOT);
const [, MARKS, , RETRY] = OWN as [string, string, string, string];

describeWithEngine('redis-server', 'archivedRedis in a cluster, between its steps', () => {
  let cluster: RedisCluster;
  let app: Cluster;
  let one: Archive;
  let other: Archive;
  let connection: ClusterConnection;
  const sessions: Session[] = [];

  beforeAll(async () => {
    cluster = await startRedisCluster();
    app = new Cluster([...cluster.urls]);
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) session.destroy();
    await Promise.all([one.close(), other.close()]);
    for (const { client } of cluster.nodes) await client.flushAll();
  });
  afterAll(async () => {
    app.disconnect();
    await cluster.stop();
  });

  /** A session whose words are told before they are sent. */
  const open = (before: Before, { env = systemEnv, prefix = '' } = {}): Session => {
    const cold = memory<Uint8Array>();
    const hot = redisKeys(app, { prefix });
    connection = hot.cluster as ClusterConnection;
    one = archive({ hot, cold, throttleMs: 0 });
    other = archive({ hot: redisKeys(app, { prefix }), cold, throttleMs: 0, leaseMs: 300 });
    const guarded: GuardedArchive = {
      bounds: { namespace: NAMESPACE, prefix },
      env,
      ensure: (keys) => one.ensure(...keys),
      mark: (keys) => one.dirty(...keys),
      ask: (words) => connection.send('test', 0, () => words),
    };
    const ports = ioRedisClusterPorts(app, (node) => slowPorts(portsLikeIoRedis(node), before));
    const list = (operation: string, slot: number, clock: string): Promise<void> =>
      new SlotScripts(connection, new SlotList(connection, NAMESPACE), NAMESPACE, slot).list(
        operation,
        clock,
      );
    const allowed = new Set<string>();
    const link = new ClusterLink(ports, guarded, allowed, list);
    const session = new Session(link, guarded, { allowed, mostWaiting: 100 });
    sessions.push(session);
    return session;
  };
  const run = (session: Session, ...words: string[]): Promise<unknown> =>
    session.command(words, undefined, () => Promise.reject(new Error('left to the client')));
  const frozen = async (key: string): Promise<void> => {
    await app.set(key, '5');
    await one.dirty(key);
    await one.drain();
  };
  const elsewhere = async (): Promise<ClusterNode> => {
    const from = await cluster.owner(SLOT);
    return cluster.nodes.find((node) => node !== from) as ClusterNode;
  };

  it('does not run what was evicted after the guard had looked', async () => {
    let evictions = 0;
    const session = open(async ([name]) => {
      if (name !== 'MULTI' || evictions > 0) return;
      evictions += (await other.evict('n')).evicted;
    });
    await frozen('n');
    expect(await run(session, 'INCR', 'n')).toBe(6);
    expect(evictions).toBe(1);
    evictions = 0;
    await other.drain();
    expect(String(await run(session, 'GET', 'n'))).toBe('6');
    expect(evictions).toBe(1);
  });

  it('writes nothing into a slot that was taken off the list after the guard had looked', async () => {
    let unlisted = 0;
    const session = open(async ([name]) => {
      if (name !== 'MULTI' || unlisted > 2) return;
      const told = connection.run('test', SLOT, 'unlist', OWN, []);
      if (Number(await told) >= 0) unlisted++;
    });
    for (const words of [
      ['INCR', 'n'],
      ['DEL', 'n'],
      ['SET', 'n', 'new'],
    ]) {
      await app.set('n', '5');
      await one.dirty('n');
      await one.drain();
      unlisted = 0;
      await run(session, ...words);
      expect(unlisted, words.join(' ')).toBeGreaterThan(2);
      expect(await app.hkeys(MARKS)).toEqual(['n']);
      expect(await app.zscore(`${NAMESPACE}:slots`, String(SLOT))).not.toBeNull();
      await one.drain();
    }
    expect(await app.get('n')).toBe('new');
  });

  it('runs once when its slot moves between its steps', async () => {
    let step = 0;
    let isMoving = true;
    const session = open(async () => {
      if (isMoving || ++step % 11 > 0) return;
      isMoving = true;
      const to = await elsewhere();
      await cluster.beginMove(SLOT, to);
      while ((await cluster.moveKeys(SLOT, to, 100)) > 0);
      await cluster.endMove(SLOT, to);
      isMoving = false;
    });
    await frozen('n');
    await one.evict('n');
    await run(session, 'EXISTS', 'none');
    isMoving = false;
    for (let n = 6; n < 20; n++) expect(await run(session, 'INCR', 'n')).toBe(n);
    expect(await run(session, 'DEL', 'n')).toBe(1);
    expect(step).toBeGreaterThan(24);
    expect(await app.hkeys(MARKS)).toEqual(['n']);
  });

  it('waits for a slot that is half moved, and asks the node that has all of it', async () => {
    const sent: string[] = [];
    const session = open(async ([name]) => void sent.push(String(name)));
    await app.set('n', '5');
    await run(session, 'INCR', 'n');
    // So that there is nothing that is nowhere.
    await app.zadd(RETRY, 4e15, 'n');
    const to = await elsewhere();
    await cluster.beginMove(SLOT, to);
    const waiting = run(session, 'INCR', 'n');
    await cluster.moveKeys(SLOT, to, 2);
    const reading = run(session, 'GET', 'n');
    await expect.poll(() => sent.length).toBeGreaterThan(30);
    while ((await cluster.moveKeys(SLOT, to, 100)) > 0);
    sent.length = 0;
    expect(await waiting).toBe(7);
    expect(String(await reading)).toMatch(/^[67]$/);
    expect(await run(session, 'INCR', 'n')).toBe(8);
    expect(sent).toContain('ASKING');
    expect(await run(session, 'DEL', 'n')).toBe(1);
    await cluster.endMove(SLOT, to);
    expect(await run(session, 'EXISTS', 'n')).toBe(0);
    expect(await app.hkeys(MARKS)).toEqual(['n']);
  });

  it('goes on with keys that are not archived while their slot moves', async () => {
    const sent: string[] = [];
    const session = open(async ([name]) => void sent.push(String(name)), { prefix: 'user:' });
    await app.set('n', '5');
    const to = await elsewhere();
    await cluster.beginMove(SLOT, to);
    expect(await run(session, 'INCR', 'n')).toBe(6);
    while ((await cluster.moveKeys(SLOT, to, 100)) > 0);
    expect(await run(session, 'INCR', 'n')).toBe(7);
    expect(String(await run(session, 'GET', 'n'))).toBe('7');
    expect(sent).toContain('ASKING');
    await cluster.endMove(SLOT, to);
    expect(String(await run(session, 'GET', 'n'))).toBe('7');
  });

  it('tells of a slot that does not come to rest, and has written nothing then', async () => {
    // So that its patience is over soon.
    const monotonicMs = (): number => systemEnv.monotonicMs() * 25;
    const session = open(async () => undefined, { env: { ...systemEnv, monotonicMs } });
    await app.set('n', '5');
    await run(session, 'INCR', 'n');
    const to = await elsewhere();
    await cluster.beginMove(SLOT, to);
    await cluster.moveKeys(SLOT, to, 1);
    await expect(run(session, 'INCR', 'n')).rejects.toMatchObject({ code: 'unavailable' });
    while ((await cluster.moveKeys(SLOT, to, 100)) > 0);
    await cluster.endMove(SLOT, to);
    expect(await run(session, 'INCR', 'n')).toBe(7);
  });
});
