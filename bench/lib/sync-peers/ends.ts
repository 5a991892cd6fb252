import { availableParallelism } from 'node:os';
import type { SyncPeerCalls } from '../../programs/sync-peer.ts';
import { Child } from '../child.ts';
import type { PeerName } from './index.ts';
import type { Expected } from './items.ts';

type End = Child<SyncPeerCalls>;

/** Processes that share the copies: as many as leave a core for the source, two at least. */
const PROCESSES = Math.max(2, availableParallelism() - 1);

/** A source in a process of its own, and copies of it in others. */
export class Ends implements AsyncDisposable {
  readonly name: PeerName;
  readonly source: End = new Child<SyncPeerCalls>('sync-peer');
  readonly #copies: End[] = [];
  #at = { address: '', pid: 0 };

  private constructor(name: PeerName) {
    this.name = name;
  }

  static async start(name: PeerName): Promise<Ends> {
    const ends = new Ends(name);
    ends.#at = await ends.source.call('serve', name);
    return ends;
  }

  get address(): string {
    return this.#at.address;
  }

  /** Of the process that keeps the connections: the source's own, or that of an engine. */
  get pid(): number {
    return this.#at.pid;
  }

  get hasEngine(): boolean {
    return this.#at.pid !== this.source.pid;
  }

  /** Connects further copies, in so many new processes; gives the ms until all have everything. */
  async connect(
    copies: number,
    expected: Expected,
    processes: number = PROCESSES,
  ): Promise<number> {
    const parts = Math.min(copies, processes);
    const took: number[] = [];
    for (let at = 0; at < parts; at++) {
      const share = Math.floor((copies * (at + 1)) / parts) - Math.floor((copies * at) / parts);
      took.push(await this.#open().call('connect', this.name, this.address, share, expected));
    }
    return Math.max(...took);
  }

  /** One more copy in a new process, which is gone afterwards; gives what `use` gives. */
  async withOne<T>(use: (one: End) => Promise<T>): Promise<T> {
    const one = this.#open();
    try {
      return await use(one);
    } finally {
      this.#copies.pop();
      if (one === this.source) await one.call('disconnect').then(() => one.call('forget'));
      else await one[Symbol.asyncDispose]();
    }
  }

  all<T>(ask: (one: End) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#copies.map(ask));
  }

  /** Of the process whose copies connected last. */
  get lastPid(): number {
    return this.#copies.at(-1)?.pid ?? raise();
  }

  /** The process whose copies connected first. */
  get first(): End {
    return this.#copies[0] ?? raise();
  }

  async settle(): Promise<void> {
    await Promise.all([this.source, ...this.#copies].map((one) => one.call('collectGarbage')));
  }

  /** Writes keys and waits until all copies have the last of them; gives the ms that took. */
  async spread(keys: number, version: number, bytes: number): Promise<number> {
    const startedMs = await this.source.call('write', keys, version, bytes);
    const ends = await this.all((one) => one.call('reached', keys - 1, version, bytes));
    return Math.max(...ends) - startedMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#copies) if (one !== this.source) await one[Symbol.asyncDispose]();
    await this.source.call('stop').catch(() => {});
    await this.source[Symbol.asyncDispose]();
  }

  #open(): End {
    const one =
      this.name === 'PouchDB in one process' ? this.source : new Child<SyncPeerCalls>('sync-peer');
    if (one !== this.source || !this.#copies.includes(one)) this.#copies.push(one);
    return one;
  }
}

function raise(): never {
  throw new Error('no copy is connected');
}
