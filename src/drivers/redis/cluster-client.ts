import type { Cluster } from 'ioredis';
import type { createCluster } from 'redis';
import { byLibrary } from './url.ts';

/** A client by `createCluster` of node-redis. */
export type NodeRedisClusterClient = ReturnType<typeof createCluster>;

/**
 * A client for a cluster that never connects itself: a pattern for connections. `urls` are those of
 * the nodes to ask first, all with one user and either all with TLS or none. Errors: `unsupported`
 * where no client library is installed.
 */
export function clusterClientOf(
  urls: readonly string[],
): Promise<Cluster | NodeRedisClusterClient> {
  return byLibrary(
    (library) => nodeRedisClusterOf(library, urls),
    (library) => ioRedisClusterOf(library, urls),
  );
}

/** Found by one of the nodes, the others are told by it without user and password. */
function loginOf(urls: readonly string[]): { login: object; isSecure: boolean } {
  const { protocol, username, password } = new URL(urls[0] as string);
  const login = {
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
  };
  return { login, isSecure: protocol === 'rediss:' };
}

export function nodeRedisClusterOf(
  library: Pick<typeof import('redis'), 'createCluster'>,
  urls: readonly string[],
): NodeRedisClusterClient {
  const { login, isSecure } = loginOf(urls);
  return library.createCluster({
    rootNodes: urls.map((url) => ({ url })),
    defaults: { ...login, ...(isSecure && { socket: { tls: true } }) },
  });
}

export function ioRedisClusterOf(
  library: Pick<typeof import('ioredis'), 'Cluster'>,
  urls: readonly string[],
): Cluster {
  const { login, isSecure } = loginOf(urls);
  return new library.Cluster([...urls], {
    lazyConnect: true,
    redisOptions: { ...login, ...(isSecure && { tls: {} }) },
    // A certificate is for the name of a node, not for its address.
    ...(isSecure && { dnsLookup: (name, found) => found(null, name) }),
  });
}
