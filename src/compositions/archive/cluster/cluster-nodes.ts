import { Connection } from '../../../drivers/redis/connection.ts';
import { connectFailure } from '../../../drivers/redis/failures.ts';
import { PATIENCE_MS, withPatience } from '../../../drivers/redis/patience.ts';
import type { RedisPort } from '../../../drivers/redis/port.ts';
import type { Env } from '../../../store/env.ts';
import { failure } from '../../../store/errors.ts';
import type { ClusterPorts } from './cluster-ports.ts';
import { SLOTS } from './hash-slots.ts';

/** The masters of a cluster: which slots each serves, and a connection to each. */
export class ClusterNodes {
  readonly #env: Env;
  readonly #ports: ClusterPorts;
  readonly #prepare: (port: RedisPort) => Promise<void>;
  readonly #connections = new Map<string, Connection>();
  /** Addresses by slot. */
  #slots: (string | undefined)[] = [];
  #reading: Promise<void> | undefined;
  #closed = false;

  /** `prepare` runs on every new connection before anybody gets it. */
  constructor(env: Env, ports: ClusterPorts, prepare: (port: RedisPort) => Promise<void>) {
    this.#env = env;
    this.#ports = ports;
    this.#prepare = prepare;
  }

  /** The address of the master that serves a slot, as far as is known. */
  async serving(operation: string, slot: number): Promise<string> {
    if (this.#slots.length === 0) await this.reread(operation);
    const address = this.#slots[slot];
    if (address === undefined)
      throw failure('unavailable', operation, `no node of the cluster serves the slot ${slot}`);
    return address;
  }

  /** The connection to the master that serves a slot, when there is one that can be used now. */
  known(slot: number): RedisPort | undefined {
    const address = this.#slots[slot];
    return address === undefined ? undefined : this.#connections.get(address)?.port;
  }

  /** Every master that serves something, as it is now. */
  async masters(operation: string): Promise<readonly string[]> {
    await this.reread(operation);
    return [...new Set(this.#slots)].filter((address) => address !== undefined);
  }

  /** A connection to a node, made where needed. */
  connect(operation: string, address: string): Promise<RedisPort> {
    let connection = this.#connections.get(address);
    if (connection === undefined) {
      const [host, port] = splitAddress(address);
      connection = new Connection(async () => this.#ports.at(host, port), this.#prepare);
      this.#connections.set(address, connection);
      if (this.#closed) connection.close();
    }
    return connection.connect(operation);
  }

  /** A node says that another one has the slot. */
  moved(slot: number, address: string): void {
    this.#slots[slot] = address;
  }

  /** Asks who serves what: one node, whichever answers. */
  reread(operation: string): Promise<void> {
    this.#reading ??= this.#read(operation).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(operation: string): Promise<void> {
    let said: unknown;
    for (const ask of [() => this.#askKnown(operation), () => this.#askFirst(operation)]) {
      try {
        const slots = await ask();
        if (slots === undefined) continue;
        this.#slots = slots;
        this.#dropOthers();
        return;
      } catch (error) {
        said = error;
      }
    }
    throw connectFailure(said, operation);
  }

  async #askKnown(operation: string): Promise<(string | undefined)[] | undefined> {
    const known = [...new Set(this.#slots)].filter((address) => address !== undefined);
    const from = Math.floor(this.#env.random() * known.length);
    let said: unknown;
    for (let at = 0; at < known.length; at++) {
      const address = known[(from + at) % known.length] as string;
      try {
        const port = await this.connect(operation, address);
        return await withPatience(slotsOf(port, splitAddress(address)[0]));
      } catch (error) {
        said = error;
      }
    }
    if (said !== undefined) throw said;
    return undefined;
  }

  async #askFirst(operation: string): Promise<(string | undefined)[]> {
    let said: unknown;
    for (const { host, ports } of await this.#ports.first()) {
      try {
        const port = await withPatience(ports.connect(PATIENCE_MS), (late) => late.disconnect());
        try {
          return await withPatience(slotsOf(port, host));
        } finally {
          port.disconnect();
        }
      } catch (error) {
        said = error;
      }
    }
    throw connectFailure(said, operation);
  }

  /** Ends connections to nodes that serve nothing any more, when they have answered. */
  #dropOthers(): void {
    const serving = new Set(this.#slots);
    for (const [address, connection] of this.#connections) {
      if (serving.has(address)) continue;
      this.#connections.delete(address);
      void endOf(connection);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#connections.values()].map(endOf));
  }
}

async function endOf(connection: Connection): Promise<void> {
  // What is still under way after a while is in doubt, and told so when the connection ends.
  await withPatience(connection.settle()).catch(() => undefined);
  connection.close();
}

export function splitAddress(address: string): readonly [host: string, port: number] {
  const colon = address.lastIndexOf(':');
  return [address.slice(0, colon), Number(address.slice(colon + 1))];
}

/** What a node tells of who serves what; itself it may leave without a host. */
async function slotsOf(port: RedisPort, ownHost: string): Promise<(string | undefined)[]> {
  const slots = new Array<string | undefined>(SLOTS).fill(undefined);
  const ranges = (await port.send(['CLUSTER', 'SLOTS'])) as unknown[][];
  for (const [first, last, master] of ranges) {
    const [host, at] = master as [Buffer | null, number];
    const named = String(host ?? '');
    const address = `${named === '' || named === '?' ? ownHost : named}:${at}`;
    slots.fill(address, first as number, (last as number) + 1);
  }
  return slots;
}
