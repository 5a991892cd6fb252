import type { Env } from '../../store/env.ts';
import { randomId } from '../../store/version.ts';
import { systemCode } from './file-errors.ts';
import { belongs, type Layout, type Shard } from './layout.ts';
import { digitsBetween, digitsOf, isName } from './names.ts';

/** File systems without hard links: shards there just grow. */
const UNLINKABLE: ReadonlySet<string | undefined> = new Set([
  ...['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'],
]);

interface SplitMark {
  readonly from: string;
  readonly at: string;
}

/** A new shard that has yet to get its name. */
interface Prepared {
  readonly temporary: string;
  readonly at: string;
  /** How many files stay. */
  readonly lower: number;
  readonly upper: readonly string[];
}

/**
 * Changes the shards of a store: one that has grown is split in two, one that is empty goes. Used by
 * the writing process only. A split gives the files of the upper half a second name in the new
 * shard, makes that appear whole by one rename, and then removes the first names; whatever ends the
 * process meanwhile, every key has its file in the shard that counts.
 */
export class LayoutEditor {
  readonly #layout: Layout;
  readonly #env: Env;
  readonly #most: number;
  /** How many files a shard has, where that was needed. */
  readonly #counts = new Map<string, number>();
  /** Shards are not looked at again before they have so many files. */
  readonly #patience = new Map<string, number>();
  #links = true;

  /** `most`: files in a shard before it is split. */
  constructor(layout: Layout, env: Env, most: number) {
    this.#layout = layout;
    this.#env = env;
    this.#most = most;
    this.#recover();
    layout.owned = true;
  }

  /** A file came into a shard (1) or went (-1). */
  count(shard: Shard, change: 1 | -1): void {
    const known = this.#counts.get(shard.bound);
    if (known !== undefined) this.#counts.set(shard.bound, known + change);
  }

  /** Splits or removes shards that have come to it. Throws where what is on disk is then unsure. */
  tend(bounds: Iterable<string>): void {
    for (const bound of bounds) {
      const shard = this.#layout.shardOf(bound);
      const count = this.#countOf(shard);
      if (count === 0 && shard.bound !== '') this.#remove(shard);
      else if (this.#links && count > (this.#patience.get(shard.bound) ?? this.#most))
        this.#split(shard);
    }
  }

  #countOf(shard: Shard): number {
    let count = this.#counts.get(shard.bound);
    if (count !== undefined) return count;
    try {
      count = this.#names(shard).length;
    } catch {
      // The shard stays as it is, and is looked at again after the next write.
      return 1;
    }
    this.#counts.set(shard.bound, count);
    return count;
  }

  #names(shard: Shard): string[] {
    const names = this.#layout.disk.list(shard.path) ?? [];
    return names.filter((name) => isName(name) && belongs(name, shard));
  }

  #split(shard: Shard): void {
    const { disk, places } = this.#layout;
    const prepared = this.#prepare(shard);
    if (prepared === undefined) return;
    const { temporary, at, lower, upper } = prepared;
    disk.rename(temporary, places.shard(at));
    disk.flushFolder(places.data);
    this.#layout.add(at);
    this.#renumber();
    for (const name of upper) disk.remove(`${shard.path}/${name}`);
    disk.flushFolder(shard.path);
    disk.remove(places.split);
    this.#counts.set(shard.bound, lower);
    this.#counts.set(at, upper.length);
    this.#patience.delete(shard.bound);
  }

  /** Makes the new shard beside the others; nothing has changed until it gets its name. */
  #prepare(shard: Shard): Prepared | undefined {
    const { disk, places } = this.#layout;
    const temporary = `${places.temporary}/split-${randomId(this.#env)}`;
    let upper: string[] = [];
    try {
      const names = this.#names(shard).sort();
      const from = middleOf(names);
      if (from === undefined) {
        this.#patience.set(shard.bound, names.length * 2);
        return undefined;
      }
      upper = names.slice(from);
      disk.makeFolder(temporary);
      for (const name of upper) disk.link(`${shard.path}/${name}`, `${temporary}/${name}`);
      disk.flushFolder(temporary);
      const at = digitsBetween(names[from - 1] as string, names[from] as string);
      this.#mark({ from: shard.bound, at });
      return { temporary, at, lower: from, upper };
    } catch (error) {
      this.#undo(temporary, upper);
      if (UNLINKABLE.has(systemCode(error))) this.#links = false;
      // A later write tries again.
      this.#patience.set(shard.bound, (this.#counts.get(shard.bound) ?? 0) + this.#most);
      return undefined;
    }
  }

  #undo(temporary: string, names: readonly string[]): void {
    const { disk } = this.#layout;
    try {
      for (const name of names) disk.remove(`${temporary}/${name}`);
      disk.removeFolder(temporary);
    } catch {
      // What is left in the folder for temporary files goes when the store is opened next.
      this.#links = false;
    }
  }

  /** Removes an empty shard: its range belongs to the one before it from then on. */
  #remove(shard: Shard): void {
    const { disk, places } = this.#layout;
    const before = this.#layout.shardBelow(shard.bound);
    try {
      // What a crash has left there of a former split must not come back with the range.
      this.#purge(before);
      if (!disk.removeFolder(shard.path)) {
        this.#counts.delete(shard.bound);
        return;
      }
    } catch {
      // The folder stays, empty: it is tried again when it is so the next time.
      this.#counts.delete(shard.bound);
      return;
    }
    disk.flushFolder(places.data);
    this.#layout.drop(shard.bound);
    this.#counts.delete(shard.bound);
    this.#patience.delete(shard.bound);
    this.#renumber();
  }

  /** Removes files that do not belong into a shard. */
  #purge(shard: Shard): void {
    const { disk } = this.#layout;
    const strays = (disk.list(shard.path) ?? []).filter(
      (name) => isName(name) && !belongs(name, shard),
    );
    if (strays.length === 0) return;
    for (const name of strays) disk.remove(`${shard.path}/${name}`);
    disk.flushFolder(shard.path);
  }

  /** Ends what a process was about when it ended, and removes what it had not finished. */
  #recover(): void {
    const { disk, places } = this.#layout;
    const mark = this.#readMark();
    if (mark !== undefined) {
      // The new shard may be there already, and be known to readers.
      this.#layout.load();
      disk.flushFolder(places.data);
      this.#renumber();
      this.#purge(this.#layout.shardOf(mark.from));
      disk.remove(places.split);
    } else this.#renumber();
    for (const name of disk.list(places.temporary) ?? []) {
      const path = `${places.temporary}/${name}`;
      if (!name.startsWith('split-')) disk.remove(path);
      else {
        for (const file of disk.list(path) ?? []) disk.remove(`${path}/${file}`);
        disk.removeFolder(path);
      }
    }
  }

  #renumber(): void {
    const { disk, places } = this.#layout;
    this.#replace(places.layout, randomId(this.#env), disk);
  }

  #mark(mark: SplitMark): void {
    this.#replace(this.#layout.places.split, JSON.stringify(mark), this.#layout.disk);
  }

  #replace(path: string, text: string, disk: Layout['disk']): void {
    const temporary = `${this.#layout.places.temporary}/${randomId(this.#env)}`;
    disk.write(temporary, [Buffer.from(text)], false);
    disk.rename(temporary, path);
  }

  #readMark(): SplitMark | undefined {
    const bytes = this.#layout.disk.read(this.#layout.places.split);
    if (bytes === undefined) return undefined;
    try {
      return JSON.parse(Buffer.from(bytes).toString()) as SplitMark;
    } catch {
      // Written in full before it got this name, unless power was lost: the disk then has no readers.
      return { from: '', at: '' };
    }
  }
}

/** Where to cut sorted names in two, near the middle, so that digits tell the halves apart. */
function middleOf(names: readonly string[]): number | undefined {
  const middle = names.length >>> 1;
  for (let away = 0; away < middle; away++) {
    for (const at of [middle + away, middle - away]) {
      const before = names[at - 1];
      const name = names[at];
      if (before === undefined || name === undefined) continue;
      if (digitsOf(before) !== digitsOf(name)) return at;
    }
  }
  return undefined;
}
