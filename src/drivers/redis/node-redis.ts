import type { RedisPort, RedisPorts, RedisWord } from './port.ts';

/** What is used of a node-redis client: only what makes another one. */
export interface NodeRedisClient {
  duplicate(overrides?: object): unknown;
  withTypeMapping(mapping: never): unknown;
  readonly options?: object | undefined;
}

/** A duplicate, as it is used for one connection. */
interface Duplicate {
  readonly isReady: boolean;
  connect(): Promise<unknown>;
  destroy(): void;
  sendCommand(args: readonly RedisWord[], options?: object): Promise<unknown>;
  subscribe(channel: string, heard: (message: string) => void): Promise<void>;
  on(event: 'error' | 'end', listener: (error?: Error) => void): unknown;
}

/** The options that a command is sent with, where it has some of its own. */
export type OptionsOf = (words: readonly RedisWord[]) => object | undefined;

/** The type of bulk strings in the protocol of Redis. */
const BULK_STRING = 36;

/** Whether a value is a client of node-redis for one server; only that has a socket of its own. */
export function isNodeRedis(client: object): client is NodeRedisClient {
  return 'withTypeMapping' in client && 'duplicate' in client && 'socketEpoch' in client;
}

/** Connections by node-redis. */
export function nodeRedisPorts(client: NodeRedisClient): RedisPorts {
  return portsByDuplicates(client, {
    // The client would make an abort signal for every command, at twice the cost of it.
    commandOptions: { typeMapping: { [BULK_STRING]: Buffer }, timeout: undefined },
    RESP: 2,
  });
}

/** Connections like that of a client, but for some options of it. */
export function portsByDuplicates(
  client: NodeRedisClient,
  overrides: object,
  optionsOf?: OptionsOf,
): RedisPorts {
  return {
    client: 'node-redis',
    async connect(connectTimeoutMs) {
      const { socket } = (client.options ?? {}) as { socket?: object };
      const duplicate = client.duplicate({
        // A connection ends once: nothing waits in a queue, nothing is sent a second time.
        socket: { ...socket, connectTimeout: connectTimeoutMs, reconnectStrategy: false },
        disableOfflineQueue: true,
        commandsQueueMaxLength: undefined,
        pingInterval: undefined,
        maintNotifications: 'disabled',
        clientSideCache: undefined,
        emitInvalidate: undefined,
        ...overrides,
      }) as Duplicate;
      const port = new NodeRedisPort(duplicate, optionsOf);
      try {
        await duplicate.connect();
      } catch (error) {
        duplicate.destroy();
        throw error;
      }
      return port;
    },
  };
}

class NodeRedisPort implements RedisPort {
  readonly #client: Duplicate;
  readonly #optionsOf: OptionsOf | undefined;
  readonly #onEnd: (() => void)[] = [];
  #ended = false;

  constructor(client: Duplicate, optionsOf: OptionsOf | undefined) {
    this.#client = client;
    this.#optionsOf = optionsOf;
    // Of a connection that does not reconnect, both mean its end.
    const end = (): void => {
      if (this.#ended) return;
      this.#ended = true;
      for (const fn of this.#onEnd) fn();
    };
    client.on('error', end);
    client.on('end', end);
  }

  get ready(): boolean {
    return this.#client.isReady;
  }

  send(words: readonly RedisWord[]): Promise<unknown> {
    return this.#client.sendCommand(words, this.#optionsOf?.(words));
  }

  async subscribe(channel: string, heard: (message: string) => void): Promise<void> {
    await this.#client.subscribe(channel, heard);
  }

  onEnd(fn: () => void): void {
    if (this.#ended) fn();
    else this.#onEnd.push(fn);
  }

  disconnect(): void {
    this.#client.destroy();
  }
}
