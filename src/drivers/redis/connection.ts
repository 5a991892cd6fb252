import type { Call } from '../../store/call.ts';
import type { StrataError } from '../../store/errors.ts';
import { closedStore, connectFailure, forCall, isMisplaced, isReply } from './failures.ts';
import { PATIENCE_MS, withPatience } from './patience.ts';
import type { RedisPort, RedisPorts } from './port.ts';
import { WatchedPort } from './watched-port.ts';

/**
 * The connection of a store: made when it is first needed, and anew at the first call after it was
 * lost. Nobody waits for a server that is away: a call gets `unavailable` as soon as its own
 * attempt, shared with all calls of that moment, has failed.
 */
export class Connection {
  readonly #ports: () => Promise<RedisPorts>;
  readonly #prepare: (port: RedisPort) => Promise<void>;
  #port: WatchedPort | undefined;
  #connecting: Promise<RedisPort> | undefined;
  #closed = false;

  /** `prepare` runs on every new connection before anybody gets it. */
  constructor(ports: () => Promise<RedisPorts>, prepare: (port: RedisPort) => Promise<void>) {
    this.#ports = ports;
    this.#prepare = prepare;
  }

  /** The connection, when there is one that can be used now. */
  get port(): RedisPort | undefined {
    return this.#port?.ready ? this.#port : undefined;
  }

  /** The connection, made where needed. Errors: `unavailable`, `denied`, and those of `prepare`. */
  connect(operation: string): Promise<RedisPort> {
    if (this.#closed) return Promise.reject(closedStore(operation));
    const { port } = this;
    if (port !== undefined) return Promise.resolve(port);
    this.#connecting ??= this.#make(operation).finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #make(operation: string): Promise<RedisPort> {
    this.#port?.disconnect();
    this.#port = undefined;
    const port = await this.#open(operation);
    try {
      await withPatience(this.#prepare(port));
    } catch (error) {
      port.disconnect();
      throw connectFailure(error, operation);
    }
    if (this.#closed) {
      port.disconnect();
      throw closedStore(operation);
    }
    this.#port = port;
    return port;
  }

  async #open(operation: string): Promise<WatchedPort> {
    try {
      const ports = await this.#ports();
      const port = await withPatience(ports.connect(PATIENCE_MS), (late) => late.disconnect());
      return new WatchedPort(port, (error) => {
        if (isMisplaced(error)) port.disconnect();
      });
    } catch (error) {
      throw connectFailure(error, operation);
    }
  }

  /** A further connection, for messages; the caller ends it. */
  async connectAnother(operation: string): Promise<RedisPort> {
    const ports = await this.#ports();
    try {
      return await withPatience(ports.connect(PATIENCE_MS), (late) => late.disconnect());
    } catch (error) {
      throw connectFailure(error, operation);
    }
  }

  /** The error of a call that could not be made or answered. */
  failure(error: unknown, call: Call): StrataError {
    return this.#closed && !isReply(error) ? closedStore(call.operation) : forCall(error, call);
  }

  /** Takes no more calls, and resolves when every answer that is owed has come. */
  async settle(): Promise<void> {
    this.#closed = true;
    await this.#port?.idle();
  }

  /** Ends the connection; what is still under way is rejected. */
  close(): void {
    this.#closed = true;
    this.#port?.disconnect();
  }
}
