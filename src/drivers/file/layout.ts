import { failure } from '../../store/errors.ts';
import type { Disk } from './disk.ts';

/*
 * Where the files of a store lie.
 *
 *   store.json    format and id; a folder with it is a store
 *   lock, owner   held by the writing process; who that is
 *   layout        a number that changes whenever shards come or go
 *   split         the split under way, if any
 *   data/s<from>/ the files of the keys whose names stand at or after <from>, up to the next shard
 *   tmp/          files on their way
 */

const SHARD = /^s[0-9a-f]{0,160}$/;

/** The paths of a store. */
export class Places {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  get store(): string {
    return `${this.root}/store.json`;
  }

  get lock(): string {
    return `${this.root}/lock`;
  }

  get owner(): string {
    return `${this.root}/owner`;
  }

  get layout(): string {
    return `${this.root}/layout`;
  }

  get split(): string {
    return `${this.root}/split`;
  }

  get data(): string {
    return `${this.root}/data`;
  }

  get temporary(): string {
    return `${this.root}/tmp`;
  }

  shard(bound: string): string {
    return `${this.data}/s${bound}`;
  }
}

/** A shard: the names from its bound up to the next one's. */
export interface Shard {
  readonly bound: string;
  /** Absent for the last. */
  readonly end?: string;
  readonly path: string;
}

/**
 * The shards of a store as this process knows them. The writing process changes them itself; others
 * look at the number in `layout` when they miss something. It is changed after a new shard is there
 * and before anything is taken out of the old one; after a shard is gone and before its keys are
 * written elsewhere. So a file that is found is the right one, and a miss counts if the number stands.
 */
export class Layout {
  readonly disk: Disk;
  readonly places: Places;
  /** Set where this process writes: what it knows is then so. */
  owned = false;
  #bounds: string[] = [];
  #number = '';

  constructor(disk: Disk, places: Places) {
    this.disk = disk;
    this.places = places;
    this.load();
  }

  load(): void {
    const { disk, places } = this;
    for (;;) {
      const before = this.#readNumber();
      const names = disk.list(places.data) ?? [];
      const bounds = names.filter((name) => SHARD.test(name)).map((name) => name.slice(1));
      bounds.sort();
      if (bounds[0] !== '')
        throw failure('corrupt', 'open', `the store at ${places.root} has lost its first shard`);
      this.#bounds = bounds;
      this.#number = before;
      if (this.#readNumber() === before) return;
    }
  }

  /** Whether shards came or went since the last look; they are then known. */
  refresh(): boolean {
    if (this.owned || this.#readNumber() === this.#number) return false;
    this.load();
    return true;
  }

  /** The shard of a name. */
  shardOf(name: string): Shard {
    return this.#shard(this.#indexOf(name));
  }

  /** The shard that holds the names right below this one; the last where none is given. */
  shardBelow(name: string | undefined): Shard {
    if (name === undefined) return this.#shard(this.#bounds.length - 1);
    const at = this.#indexOf(name);
    return this.#shard(this.#bounds[at] === name && at > 0 ? at - 1 : at);
  }

  pathOf(name: string): string {
    return `${this.shardOf(name).path}/${name}`;
  }

  add(bound: string): void {
    this.#bounds.splice(this.#indexOf(bound) + 1, 0, bound);
  }

  drop(bound: string): void {
    this.#bounds = this.#bounds.filter((one) => one !== bound);
  }

  get shards(): number {
    return this.#bounds.length;
  }

  shardAt(index: number): Shard {
    return this.#shard(index % this.#bounds.length);
  }

  #shard(index: number): Shard {
    const bound = this.#bounds[index] as string;
    const end = this.#bounds[index + 1];
    return { bound, path: this.places.shard(bound), ...(end !== undefined && { end }) };
  }

  #indexOf(name: string): number {
    let low = 0;
    let high = this.#bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#bounds[middle] as string) <= name) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #readNumber(): string {
    return Buffer.from(this.disk.read(this.places.layout) ?? []).toString();
  }
}

/** Whether a name belongs into a shard. */
export function belongs(name: string, { bound, end }: Shard): boolean {
  return name >= bound && (end === undefined || name < end);
}
