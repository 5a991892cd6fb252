import { Cluster } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import { type RedisCluster, startRedisCluster } from '../../../../test/support/redis-cluster.ts';
import { simulatedEnv } from '../../../testing/index.ts';
import { ClusterConnection } from './cluster-connection.ts';
import { ioRedisClusterPorts } from './cluster-ports.ts';
import { slotOf, tagOf } from './hash-slots.ts';
import { SlotList } from './slot-list.ts';
import { SlotRounds } from './slot-rounds.ts';
import { SlotScripts } from './slot-scripts.ts';

describeWithEngine('redis-server', 'the list of slots with marks', () => {
  let cluster: RedisCluster;
  let app: Cluster;
  let connection: ClusterConnection;

  beforeAll(async () => {
    cluster = await startRedisCluster();
    app = new Cluster([...cluster.urls]);
    connection = new ClusterConnection(ioRedisClusterPorts(app), {});
  });
  afterEach(async () => {
    for (const { client } of cluster.nodes) await client.flushAll();
  });
  afterAll(async () => {
    await connection.close();
    app.disconnect();
    await cluster.stop();
  });

  const slot = slotOf(Buffer.from('k'));
  const parts = (): { list: SlotList; scripts: SlotScripts } => {
    const list = new SlotList(connection, 'ns');
    return { list, scripts: new SlotScripts(connection, list, 'ns', slot) };
  };
  const marked = async (scripts: SlotScripts): Promise<void> => {
    expect(await scripts.run('dirty', 'mark', ['k'], [])).toEqual([]);
  };
  const settled = async (scripts: SlotScripts): Promise<void> => {
    const args = ['1000', '1', '1000', 'dump', '0'];
    const [[, generation]] = (await scripts.run('x', 'take', ['k'], args)) as [[Buffer, Buffer]];
    expect(await scripts.run('x', 'settle', ['k'], ['0', String(generation), '0'])).toEqual([1]);
  };

  it('has a slot before its first mark, and as long as it has marks', async () => {
    const { list, scripts } = parts();
    await app.set('k', 'v');
    await scripts.run('ensure', 'presence', ['k'], []);
    expect(await list.all('x')).toEqual([]);
    await marked(scripts);
    expect(await list.all('x')).toEqual([slot]);
    expect(await scripts.run('x', 'unlist', [], [])).toBe(-1);
    await settled(scripts);
    const clock = String(await scripts.run('x', 'unlist', [], []));
    await list.remove('x', slot, clock);
    expect(await list.all('x')).toEqual([]);
    await marked(scripts);
    expect(await list.all('x')).toEqual([slot]);
  });

  it('keeps a slot that is marked while it is taken off, whatever comes first', async () => {
    for (const lateBy of ['unlist', 'remove', 'list'] as const) {
      for (const { client } of cluster.nodes) await client.flushAll();
      const { list, scripts } = parts();
      await app.set('k', 'v');
      await marked(scripts);
      await settled(scripts);
      const clockNow = async (): Promise<string> => {
        const [, now] = (await scripts.run('x', 'ready', [], ['1'])) as [number, Buffer];
        return String(now);
      };
      const clock = String(await scripts.run('x', 'unlist', [], []));
      if (lateBy === 'list') {
        // Listed again, and taken off by one that has seen no more than before.
        await list.add('x', slot, await clockNow());
        await list.remove('x', slot, clock);
        expect(await list.all('x')).toEqual([slot]);
      } else if (lateBy === 'remove') {
        await marked(scripts);
        await list.remove('x', slot, clock);
        expect(await list.all('x')).toEqual([slot]);
      } else {
        // Listed by one that is late: another has made the clock go on, and has taken the slot off.
        const early = await clockNow();
        await list.add('x', slot, early);
        const later = String(await scripts.run('x', 'unlist', [], []));
        await list.remove('x', slot, later);
        const keys = ['index', 'marks', 'due', 'retry'].map(
          (name) => `ns:{${tagOf(slot)}}:${name}`,
        );
        expect(await connection.run('x', slot, 'list', keys, [early])).toBe(0);
        await marked(scripts);
        expect(await list.all('x')).toEqual([slot]);
      }
    }
  });

  it('finds what is due, also where the list was lost, and takes off what stays empty', async () => {
    const { list, scripts } = parts();
    const env = simulatedEnv();
    const at = (other: number): SlotScripts => new SlotScripts(connection, list, 'ns', other);
    const rounds = new SlotRounds(env, list, at);
    await app.set('k', 'v');
    await marked(scripts);
    expect(await rounds.next('x', 10)).toEqual([{ slot, keys: [Buffer.from('k')] }]);
    await list.remove('x', slot, '1000');
    let found: readonly unknown[] = [];
    for (let round = 0; round < 64 && found.length === 0; round++)
      found = await rounds.next('x', 10);
    expect(found).toEqual([{ slot, keys: [Buffer.from('k')] }]);
    await settled(scripts);
    for (const waitMs of [0, 59_999]) {
      await env.advance(waitMs);
      expect(await rounds.next('x', 10)).toEqual([]);
      expect(await list.all('x')).toEqual([slot]);
    }
    await env.advance(1);
    expect(await rounds.next('x', 10)).toEqual([]);
    expect(await list.all('x')).toEqual([]);
    await marked(scripts);
    expect(await rounds.next('x', 10)).toEqual([{ slot, keys: [Buffer.from('k')] }]);
  });
});
