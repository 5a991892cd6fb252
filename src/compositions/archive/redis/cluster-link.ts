import type { RedisPort } from '../../../drivers/redis/port.ts';
import { failure, invalidArgument } from '../../../store/errors.ts';
import { ClusterNodes, splitAddress } from '../cluster/cluster-nodes.ts';
import type { ClusterPorts } from '../cluster/cluster-ports.ts';
import { slotOf } from '../cluster/hash-slots.ts';
import { slotKeys } from '../cluster/slot-scripts.ts';
import { namedBytes } from '../hot-key.ts';
import { CommandTable, type Words } from './command-table.ts';
import type { ScriptNames } from './envelope.ts';
import { type GuardedArchive, patiently, pauseOf, type Route, type Routes } from './routes.ts';
import { checkAllowed } from './rules.ts';
import { SLOT_SCRIPTS } from './scripts.ts';

const REDIRECTION = /^(MOVED|ASK) \d+ (\S*):(\d+)/;

/** Lists a slot of the archive as one that may have marks. */
export type Listing = (operation: string, slot: number, clock: string) => Promise<void>;

/** Connections to the nodes of a cluster, with what has to be known of them. */
export class ClusterLink implements Routes {
  readonly inCluster = true;
  readonly list: Listing;
  readonly #archive: GuardedArchive;
  readonly #nodes: ClusterNodes;
  readonly #allowed: ReadonlySet<string>;
  /** Where slots are on their way to: for the next that goes there only. */
  readonly #asks = new Map<number, string>();
  #shas = { guard: '', marks: '' };
  #table: CommandTable | undefined;

  /** `allowed` are names of commands, which the nodes must have. */
  constructor(
    ports: ClusterPorts,
    archive: GuardedArchive,
    allowed: ReadonlySet<string>,
    list: Listing,
  ) {
    this.#archive = archive;
    this.#allowed = allowed;
    this.list = list;
    this.#nodes = new ClusterNodes(archive.env, ports, (port) => this.#prepare(port));
  }

  get table(): CommandTable | undefined {
    return this.#table;
  }

  slotOf(operation: string, ids: Iterable<string>): number {
    let slot: number | undefined;
    for (const id of ids) {
      const bytes = Buffer.from(id, 'latin1');
      const own = slotOf(bytes);
      slot ??= own;
      if (own === slot) continue;
      const { shown } = namedBytes(bytes);
      throw invalidArgument(
        operation,
        'the key',
        shown,
        'keys of one slot, such as {user:1}:name and {user:1}:age: those of one command or transaction are on one node of the cluster (CROSSSLOT)',
      );
    }
    return slot ?? 0;
  }

  names(slot: number): ScriptNames {
    const own = slotKeys(this.#archive.bounds.namespace, slot);
    return { own, watched: own[0], inCluster: true, scripts: SLOT_SCRIPTS, ...this.#shas };
  }

  route(slot: number): Route | undefined {
    const port = this.#asks.has(slot) ? undefined : this.#nodes.known(slot);
    return port && { port, names: this.names(slot), asking: false };
  }

  async connect(operation: string, slot: number): Promise<Route> {
    const asked = this.#asks.get(slot);
    this.#asks.delete(slot);
    const address = asked ?? (await this.#nodes.serving(operation, slot));
    try {
      const port = await this.#nodes.connect(operation, address);
      return { port, names: this.names(slot), asking: asked !== undefined };
    } catch (error) {
      // Another node may have what this one had.
      await this.#nodes.reread(operation).catch(() => undefined);
      throw error;
    }
  }

  async learn(operation: string, anew = false): Promise<CommandTable> {
    const { port } = await this.#anyNode(operation);
    if (anew) this.#table = new CommandTable(await port.send(['COMMAND']));
    return this.#table as CommandTable;
  }

  async send(operation: string, words: Words): Promise<unknown> {
    const { port } = await this.#anyNode(operation);
    return port.send(words);
  }

  async elsewhere(slot: number, said: Error, often: boolean): Promise<void> {
    const [, how, host, at] = REDIRECTION.exec(said.message) ?? [];
    if (how !== undefined) {
      const from = await this.#nodes.serving('exec', slot).catch(() => ':');
      const named = `${host === '' ? splitAddress(from)[0] : host}:${at}`;
      if (how === 'ASK') this.#asks.set(slot, named);
      else this.#nodes.moved(slot, named);
    } else await this.#nodes.reread('exec').catch(() => undefined);
    if (how === undefined || often) await this.pause();
  }

  pause(): Promise<void> {
    return pauseOf(this.#archive.env);
  }

  close(): void {
    void this.#nodes.close();
  }

  #anyNode(operation: string): Promise<Route> {
    return patiently(this.#archive.env, () => this.connect(operation, 0));
  }

  async #prepare(port: RedisPort): Promise<void> {
    const [guard, marks, commands, id, nodes] = await Promise.all([
      port.send(['SCRIPT', 'LOAD', SLOT_SCRIPTS.guard]),
      port.send(['SCRIPT', 'LOAD', SLOT_SCRIPTS.marks]),
      port.send(['COMMAND']),
      port.send(['CLUSTER', 'MYID']),
      this.#archive.ask(['CLUSTER', 'NODES']),
    ]);
    // A guard over another cluster would find nothing evicted.
    if (!String(nodes).includes(String(id)))
      throw failure(
        'invalid-argument',
        'archivedRedis',
        'the client is of another cluster than the archive; expected the same',
      );
    const table = new CommandTable(commands);
    checkAllowed(this.#allowed, table);
    this.#shas = { guard: String(guard), marks: String(marks) };
    this.#table = table;
  }
}
