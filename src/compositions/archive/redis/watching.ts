import { Connection } from '../../../drivers/redis/connection.ts';
import type { RedisPort, RedisPorts } from '../../../drivers/redis/port.ts';
import type { Words } from './command-table.ts';

/**
 * The connection on which the caller watches keys: the guard's own ends every watch with each of its
 * transactions.
 */
export class Watching {
  readonly #connection: Connection;
  #port: RedisPort | undefined;
  #active = false;

  constructor(ports: RedisPorts) {
    this.#connection = new Connection(
      () => Promise.resolve(ports),
      () => Promise.resolve(),
    );
  }

  /** Whether the next transaction of the caller is one on condition of what is watched. */
  get active(): boolean {
    return this.#active;
  }

  async watch(words: Words): Promise<unknown> {
    const port = await this.#connection.connect('watch');
    // What was watched over a connection that is lost may have changed.
    if (this.#port !== undefined && this.#port !== port) return 'OK';
    this.#port = port;
    this.#active = true;
    return port.send(words);
  }

  async unwatch(): Promise<unknown> {
    const port = this.#end();
    return port?.ready ? port.send(['UNWATCH']) : 'OK';
  }

  /** The connection with what is watched, whose transaction ends it; `undefined` when it was lost. */
  take(): RedisPort | undefined {
    const port = this.#end();
    return port?.ready ? port : undefined;
  }

  close(): void {
    this.#connection.close();
  }

  #end(): RedisPort | undefined {
    const port = this.#port;
    this.#port = undefined;
    this.#active = false;
    return port;
  }
}
