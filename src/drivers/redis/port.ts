/** What Redis takes as an argument. */
export type RedisWord = string | Buffer;

/**
 * One connection to Redis, whatever client is behind it: made for this driver alone, never
 * reconnecting, never sending anything twice. What is under way when it ends is rejected.
 */
export interface RedisPort {
  /** Whether commands can be sent now. */
  readonly ready: boolean;
  /** Sends at once, in order. Bulk strings come back as buffers; a reply of Redis that is an error rejects. */
  send(words: readonly RedisWord[]): Promise<unknown>;
  /** Makes this a connection for messages only. */
  subscribe(channel: string, heard: (message: string) => void): Promise<void>;
  /** Runs `fn` once, when the connection has ended, whoever ended it. */
  onEnd(fn: () => void): void;
  /** Ends it now; what is under way is rejected. */
  disconnect(): void;
}

/** Makes connections like the one of the user's client. */
export interface RedisPorts {
  /** For pictures and `info`. */
  readonly client: 'ioredis' | 'node-redis';
  /** Rejects with what the server or the network said. */
  connect(connectTimeoutMs: number): Promise<RedisPort>;
}
