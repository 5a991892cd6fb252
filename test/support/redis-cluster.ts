/** Starts a Redis Cluster of three masters, each with a third of the slots. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, RESP_TYPES, type RedisClientType } from 'redis';
import { freePort, type RedisServer, startRedis } from './redis-server.ts';

const SLOTS = 16_384;
const PATIENCE_MS = 20_000;
/** Bulk strings as they are. */
const AS_BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer };

/** One node of the cluster. */
export interface ClusterNode {
  readonly id: string;
  readonly port: number;
  readonly client: RedisClientType;
}

export interface RedisCluster {
  readonly nodes: readonly ClusterNode[];
  readonly urls: readonly string[];
  /** The node that serves a slot. */
  owner(slot: number): Promise<ClusterNode>;
  /** Tells both nodes that a slot is about to move, and moves nothing. */
  beginMove(slot: number, to: ClusterNode): Promise<void>;
  /** Moves so many of the keys of a slot that is about to move; gives how many are left. */
  moveKeys(slot: number, to: ClusterNode, count: number): Promise<number>;
  /** Ends the move of a slot whose keys have moved. */
  endMove(slot: number, to: ClusterNode): Promise<void>;
  /** Starts a replica of a master, and resolves when it has all of it and every node knows of it. */
  addReplica(of: ClusterNode): Promise<ClusterNode>;
  /** Ends a master at once. */
  kill(node: ClusterNode): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the servers and waits until all of them say that the cluster is well. */
export async function startRedisCluster(args: readonly string[] = []): Promise<RedisCluster> {
  const servers = await Promise.all(Array.from({ length: 3 }, () => startNode(args)));
  const nodes = await Promise.all(servers.map((server) => connected(server)));
  const [first] = nodes as [ClusterNode];
  await Promise.all(nodes.map((node, at) => node.client.sendCommand(rangeOf(at))));
  await Promise.all(
    nodes.map(async ({ client }, at) => {
      await client.sendCommand(['CLUSTER', 'SET-CONFIG-EPOCH', String(at + 1)]);
    }),
  );
  for (const { bus, port } of servers.slice(1))
    await first.client.sendCommand(['CLUSTER', 'MEET', '127.0.0.1', String(port), String(bus)]);
  await untilWell(nodes, 3);
  const replicas: ClusterNode[] = [];
  const urls = servers.map(({ url }) => url);
  return { ...movesOf(nodes), nodes, urls, addReplica, kill, stop: end };

  async function addReplica(of: ClusterNode): Promise<ClusterNode> {
    const server = await startNode(args);
    servers.push(server);
    const node = await connected(server);
    replicas.push(node);
    const { port, bus } = server;
    await of.client.sendCommand(['CLUSTER', 'MEET', '127.0.0.1', String(port), String(bus)]);
    await untilWell([...nodes, ...replicas], nodes.length + replicas.length);
    await node.client.sendCommand(['CLUSTER', 'REPLICATE', of.id]);
    await untilTrue('a replica', async () => {
      const info = String(await node.client.sendCommand(['INFO', 'replication']));
      return /master_link_status:up/.test(info);
    });
    return node;
  }

  async function kill({ client, port }: ClusterNode): Promise<void> {
    client.destroy();
    await servers.find((server) => server.port === port)?.kill();
  }

  async function end(): Promise<void> {
    for (const { client } of [...nodes, ...replicas]) if (client.isOpen) client.destroy();
    await Promise.all(servers.map((server) => server.stop()));
  }
}

async function startNode(args: readonly string[]): Promise<RedisServer & { bus: number }> {
  const bus = await freePort();
  const own = ['--cluster-enabled', 'yes', '--cluster-port', String(bus)];
  return { ...(await startRedis({ args: [...own, ...args] })), bus };
}

async function connected({ url, port }: RedisServer): Promise<ClusterNode> {
  const client: RedisClientType = createClient({ url });
  await client.connect();
  return { id: String(await client.sendCommand(['CLUSTER', 'MYID'])), port, client };
}

function rangeOf(at: number): string[] {
  const bounds = [0, 5_461, 10_923, SLOTS];
  const last = (bounds[at + 1] as number) - 1;
  return ['CLUSTER', 'ADDSLOTSRANGE', String(bounds[at]), String(last)];
}

async function untilWell(nodes: readonly ClusterNode[], known: number): Promise<void> {
  await untilTrue('a cluster', async () => {
    const told = await Promise.all(
      nodes.map(async ({ client }) => String(await client.sendCommand(['CLUSTER', 'INFO']))),
    );
    return told.every(
      (info) => /cluster_state:ok/.test(info) && info.includes(`cluster_known_nodes:${known}\r`),
    );
  });
}

async function untilTrue(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`no ${what} came about`);
    await sleep(20);
  }
}

/**
 * Until all nodes know of the epoch that a node took with a slot. One that takes the slot back before
 * would hear of the older owner afterwards, and believe it.
 */
async function untilHeard(nodes: readonly ClusterNode[], { id }: ClusterNode): Promise<void> {
  await untilTrue('agreement on an epoch', async () => {
    const epochs = await Promise.all(
      nodes.map(async ({ client }) => {
        const lines = String(await client.sendCommand(['CLUSTER', 'NODES'])).split('\n');
        return lines.find((line) => line.startsWith(id))?.split(' ')[6];
      }),
    );
    return new Set(epochs).size === 1;
  });
}

function movesOf(
  nodes: readonly ClusterNode[],
): Pick<RedisCluster, 'owner' | 'beginMove' | 'moveKeys' | 'endMove'> {
  const owner = async (slot: number): Promise<ClusterNode> => {
    const [{ client }] = nodes as [ClusterNode];
    const ranges = (await client.sendCommand(['CLUSTER', 'SLOTS'])) as unknown as [
      number,
      number,
      [string, number, string],
    ][];
    const [, , [, , id]] = ranges.find(([from, to]) => from <= slot && slot <= to) as [
      number,
      number,
      [string, number, string],
    ];
    return nodes.find((node) => node.id === id) as ClusterNode;
  };
  const set = (node: ClusterNode, slot: number, ...words: string[]): Promise<unknown> =>
    node.client.sendCommand(['CLUSTER', 'SETSLOT', String(slot), ...words]);
  return {
    owner,
    async beginMove(slot, to) {
      const from = await owner(slot);
      await set(to, slot, 'IMPORTING', from.id);
      await set(from, slot, 'MIGRATING', to.id);
    },
    async moveKeys(slot, to, count) {
      const { client } = await owner(slot);
      const words = ['CLUSTER', 'GETKEYSINSLOT', String(slot), '10000'];
      const keys = (await client
        .withTypeMapping(AS_BYTES)
        .sendCommand(words)) as unknown as Buffer[];
      const moving = keys.slice(0, count);
      if (moving.length > 0)
        await client.sendCommand([
          ...['MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'KEYS'],
          ...(moving as unknown as string[]),
        ]);
      return keys.length - moving.length;
    },
    async endMove(slot, to) {
      const others = nodes.filter((node) => node !== to);
      for (const node of [to, ...others]) await set(node, slot, 'NODE', to.id);
      await untilHeard(nodes, to);
    },
  };
}
