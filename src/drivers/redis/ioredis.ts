import type { RedisPort, RedisPorts, RedisWord } from './port.ts';

/** What is used of an ioredis client: only what makes another one. */
export interface IoRedisClient {
  duplicate(override?: object): unknown;
  callBuffer(...args: never): unknown;
}

/** A duplicate, as this driver uses it. */
interface Duplicate {
  readonly status: string;
  connect(): Promise<void>;
  disconnect(): void;
  callBuffer(command: string, args: readonly RedisWord[]): Promise<unknown>;
  subscribe(channel: string): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'message', listener: (channel: string, message: string) => void): unknown;
  once(event: 'end', listener: () => void): unknown;
}

/** Whether a value is a client of ioredis for one server; that of a cluster has other options. */
export function isIoRedis(client: object): client is IoRedisClient {
  return 'callBuffer' in client && 'duplicate' in client && !('nodes' in client);
}

/** Connections by ioredis. */
export function ioRedisPorts(client: IoRedisClient): RedisPorts {
  return {
    client: 'ioredis',
    async connect(connectTimeoutMs) {
      const duplicate = client.duplicate({
        lazyConnect: true,
        connectTimeout: connectTimeoutMs,
        // A connection ends once: nothing waits in a queue, nothing is sent a second time.
        retryStrategy: () => null,
        reconnectOnError: null,
        enableOfflineQueue: false,
        autoResendUnfulfilledCommands: false,
        enableAutoPipelining: false,
        commandTimeout: undefined,
        monitor: false,
      }) as Duplicate;
      let said: Error | undefined;
      duplicate.on('error', (error) => {
        said = error;
      });
      try {
        await duplicate.connect();
      } catch (error) {
        duplicate.disconnect();
        // The promise only says that the connection closed; the event says why.
        throw said ?? error;
      }
      return new IoRedisPort(duplicate);
    },
  };
}

class IoRedisPort implements RedisPort {
  readonly #client: Duplicate;
  #ended = false;

  constructor(client: Duplicate) {
    this.#client = client;
  }

  get ready(): boolean {
    return !this.#ended && this.#client.status === 'ready';
  }

  send(words: readonly RedisWord[]): Promise<unknown> {
    const [command, ...rest] = words;
    return this.#client.callBuffer(command as string, rest);
  }

  async subscribe(channel: string, heard: (message: string) => void): Promise<void> {
    this.#client.on('message', (_, message) => heard(message));
    await this.#client.subscribe(channel);
  }

  onEnd(fn: () => void): void {
    if (this.#client.status === 'end') fn();
    else this.#client.once('end', fn);
  }

  disconnect(): void {
    this.#ended = true;
    this.#client.disconnect();
  }
}
