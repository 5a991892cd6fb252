import { type IoRedisClient, ioRedisPorts } from '../../../drivers/redis/ioredis.ts';
import { type NodeRedisClient, nodeRedisPorts } from '../../../drivers/redis/node-redis.ts';
import { withPatience } from '../../../drivers/redis/patience.ts';
import type { RedisPorts } from '../../../drivers/redis/port.ts';

/** What is used of a `Cluster` of ioredis: only what makes another one. */
export interface IoRedisCluster {
  readonly isCluster: boolean;
  duplicate(...args: never): unknown;
  nodes(...args: never): unknown;
}

/** What is used of a client by `createCluster` of node-redis: only what makes another one. */
export interface NodeRedisCluster {
  duplicate(...args: never): unknown;
  nodeClient(...args: never): unknown;
  readonly masters: unknown;
}

/** A node that the client begins with. */
export interface FirstNode {
  readonly host: string;
  readonly ports: RedisPorts;
}

/** Makes connections to the nodes of a cluster, like those of the user's client. */
export interface ClusterPorts {
  /** Nodes to ask first. Rejects when none is reached. */
  first(): Promise<readonly FirstNode[]>;
  /** A node by the address that the cluster calls it by; after `first`. */
  at(host: string, port: number): RedisPorts;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where the client says that a node is, seen from here. */
type AddressMap =
  | Readonly<Record<string, Address>>
  | ((address: string) => Address | null | undefined);

export function isIoRedisCluster(client: object): client is IoRedisCluster {
  return 'isCluster' in client && client.isCluster === true && 'nodes' in client;
}

export function isNodeRedisCluster(client: object): client is NodeRedisCluster {
  return 'nodeClient' in client && 'masters' in client && 'duplicate' in client;
}

function seenFromHere(map: AddressMap | undefined, host: string, port: number): Address {
  const name = `${host}:${port}`;
  const mapped = typeof map === 'function' ? map(name) : map?.[name];
  return mapped ?? { host, port };
}

/** `make` makes connections like that of a node's client. */
export function ioRedisClusterPorts(
  client: IoRedisCluster,
  make: (node: IoRedisClient) => RedisPorts = ioRedisPorts,
): ClusterPorts {
  return new IoRedisClusterPorts(client as unknown as Cluster, make);
}

/** A cluster of ioredis, as it is used here. */
interface Cluster {
  readonly options: { readonly natMap?: AddressMap };
  duplicate(nodes: readonly never[], options: object): Cluster;
  connect(): Promise<void>;
  disconnect(): void;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  on(
    event: '+node',
    listener: (node: IoRedisClient & { readonly options: Address }) => void,
  ): unknown;
}

class IoRedisClusterPorts implements ClusterPorts {
  readonly #client: Cluster;
  readonly #make: (node: IoRedisClient) => RedisPorts;
  #template: IoRedisClient | undefined;

  constructor(client: Cluster, make: (node: IoRedisClient) => RedisPorts) {
    this.#client = client;
    this.#make = make;
  }

  async first(): Promise<readonly FirstNode[]> {
    const nodes: (IoRedisClient & { readonly options: Address })[] = [];
    let said: unknown;
    const duplicate = this.#client.duplicate([], {
      lazyConnect: true,
      clusterRetryStrategy: null,
      enableReadyCheck: false,
    });
    duplicate.on('error', (error) => {
      said = error;
    });
    duplicate.on('+node', (node) => nodes.push(node));
    try {
      await withPatience(duplicate.connect());
    } catch (error) {
      said ??= error;
    } finally {
      duplicate.disconnect();
    }
    this.#template ??= nodes[0];
    if (this.#template === undefined) throw said;
    return nodes.map((node) => ({
      host: node.options.host,
      ports: this.#make(likeNode(node, {})),
    }));
  }

  at(host: string, port: number): RedisPorts {
    const at = seenFromHere(this.#client.options.natMap, host, port);
    return this.#make(likeNode(this.#template as IoRedisClient, at));
  }
}

/** Keys are written in full, and only masters are asked. */
function likeNode(template: IoRedisClient, at: Partial<Address>): IoRedisClient {
  return {
    duplicate: (override) =>
      template.duplicate({ ...override, ...at, keyPrefix: '', readOnly: false }),
    callBuffer: () => undefined,
  };
}

/** As `ioRedisClusterPorts`. */
export function nodeRedisClusterPorts(
  client: NodeRedisCluster,
  make: (node: NodeRedisClient) => RedisPorts = nodeRedisPorts,
): ClusterPorts {
  return new NodeRedisClusterPorts(client as unknown as CreatedCluster, make);
}

/** A cluster of node-redis, as it is used here. */
interface CreatedCluster {
  readonly masters: readonly Address[];
  readonly _options?: { readonly nodeAddressMap?: AddressMap };
  duplicate(options: object): CreatedCluster;
  connect(): Promise<unknown>;
  destroy(): void;
  nodeClient(node: Address): Promise<NodeRedisClient> | NodeRedisClient;
  on(event: 'error', listener: (error: unknown) => void): unknown;
}

class NodeRedisClusterPorts implements ClusterPorts {
  readonly #client: CreatedCluster;
  readonly #make: (node: NodeRedisClient) => RedisPorts;
  #template: NodeRedisClient | undefined;

  constructor(client: CreatedCluster, make: (node: NodeRedisClient) => RedisPorts) {
    this.#client = client;
    this.#make = make;
  }

  async first(): Promise<readonly FirstNode[]> {
    const duplicate = this.#client.duplicate({ minimizeConnections: true });
    let said: unknown;
    duplicate.on('error', (error) => {
      said = error;
    });
    try {
      await withPatience(duplicate.connect());
      return await withPatience(
        Promise.all(
          duplicate.masters.map(async (node) => {
            const client = await duplicate.nodeClient(node);
            this.#template ??= client;
            return { host: node.host, ports: this.#make(client) };
          }),
        ),
      );
    } catch (error) {
      throw said ?? error;
    } finally {
      if (duplicate.masters.length > 0) duplicate.destroy();
    }
  }

  at(host: string, port: number): RedisPorts {
    const template = this.#template as NodeRedisClient;
    const at = seenFromHere(this.#client._options?.nodeAddressMap, host, port);
    const { socket } = (template.options ?? {}) as { socket?: object };
    return this.#make({
      options: { ...template.options, socket: { ...socket, ...at } },
      duplicate: (overrides) => template.duplicate(overrides),
      withTypeMapping: () => undefined,
    });
  }
}
