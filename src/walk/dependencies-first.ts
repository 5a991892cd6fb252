import type { WalkState } from './breadth-first.ts';
import type { Link, Visited } from './link-reader.ts';
import { ReadAhead } from './read-ahead.ts';

/** How far up the path to look for what is likely to be read next. */
const LOOK_BACK_FRAMES = 64;

/** An entry whose dependencies are being visited. */
interface Frame<V> extends Link {
  /** Absent until read, and again when too many are held: it is then read anew on the way back. */
  visited: Visited<V> | undefined;
  /** The next link to look at. */
  at: number;
  /** A root waits for the end, unless something else depends on it. */
  waits: boolean;
}

/**
 * Visits what is reachable, dependencies before what points to them, roots at the very end: depth
 * first, with reads ahead. In a cycle, one entry comes before something that it points to. Holds as
 * many entries as are read ahead, and twice that number for the path and the roots that wait; more
 * are held as keys and read again.
 */
export async function* dependenciesFirst<V>(
  state: WalkState<V>,
  roots: readonly Link[],
): AsyncGenerator<Visited<V>> {
  yield* new DependenciesFirst(state, roots).run();
}

class DependenciesFirst<V> {
  readonly #seen: Set<string>;
  readonly #roots: readonly Link[];
  readonly #isRoot: ReadonlySet<string>;
  readonly #ahead: ReadAhead<V>;
  readonly #mostHeld: number;
  readonly #path: Frame<V>[] = [];
  /** Roots whose dependencies were all given. */
  readonly #waiting = new Map<string, Frame<V>>();
  /** The root after the one at work. */
  #nextRoot = 0;

  constructor(state: WalkState<V>, roots: readonly Link[]) {
    this.#seen = state.seen;
    this.#roots = roots;
    this.#isRoot = new Set(roots.map(({ key }) => key));
    this.#ahead = new ReadAhead(state);
    this.#mostHeld = state.concurrency * state.batchKeys;
  }

  async *run(): AsyncGenerator<Visited<V>> {
    for (const root of this.#roots) {
      this.#nextRoot++;
      if (this.#seen.has(root.key)) continue;
      this.#enter(root, true);
      yield* this.#finishPath();
    }
    for (const root of this.#waiting.values()) {
      this.#recall(root);
      yield* this.#finishPath();
    }
  }

  /** Gives what the path still depends on, then the path from its end. */
  async *#finishPath(): AsyncGenerator<Visited<V>> {
    for (let top = this.#path.at(-1); top !== undefined; top = this.#path.at(-1)) {
      top.visited ??= await this.#ahead.read(top, () => this.#likely());
      const { visited } = top;
      const link = this.#dependency(top, visited);
      if (link !== undefined) {
        this.#follow(link, top);
        continue;
      }
      this.#path.pop();
      if (top.waits && visited.entry !== undefined) this.#wait(top);
      else yield visited;
    }
  }

  /** The next link that is to be given before `top`. */
  #dependency(top: Frame<V>, { links }: Visited<V>): string | undefined {
    for (; top.at < links.length; top.at++) {
      const link = links[top.at] as string;
      if (!this.#seen.has(link) || (!top.waits && this.#waiting.has(link))) return link;
    }
    return undefined;
  }

  #follow(link: string, { key, waits }: Frame<V>): void {
    const root = this.#waiting.get(link);
    if (root !== undefined) this.#recall(root);
    else if (this.#isRoot.has(link)) this.#enter({ key: link, from: undefined }, waits);
    else this.#enter({ key: link, from: key }, false);
  }

  #enter({ key, from }: Link, waits: boolean): void {
    this.#seen.add(key);
    this.#path.push({ key, from, visited: undefined, at: 0, waits });
    const tooMany = this.#path.at(-1 - this.#mostHeld);
    if (tooMany !== undefined) release(tooMany);
  }

  #wait(root: Frame<V>): void {
    if (this.#waiting.size >= this.#mostHeld) release(root);
    this.#waiting.set(root.key, root);
  }

  /** A root that waited is due. */
  #recall(root: Frame<V>): void {
    this.#waiting.delete(root.key);
    this.#path.push(Object.assign(root, { at: 0, waits: false }));
  }

  /** What is likely to be read next, in the likely order. */
  *#likely(): Generator<Link> {
    const end = Math.max(0, this.#path.length - 1 - LOOK_BACK_FRAMES);
    let goingBack = true;
    for (let at = this.#path.length - 2; at >= end; at--) {
      const frame = this.#path[at] as Frame<V>;
      if (frame.visited !== undefined) {
        goingBack = false;
        yield* this.#unseen(frame, frame.visited);
      } else if (goingBack) yield frame;
      else break; // Let go of on the way down: not due before all that is held is done.
    }
    for (let at = this.#nextRoot; at < this.#roots.length; at++) {
      const root = this.#roots[at] as Link;
      if (!this.#seen.has(root.key)) yield root;
    }
    for (const root of this.#waiting.values()) if (root.visited === undefined) yield root;
  }

  *#unseen({ key, at }: Frame<V>, { links }: Visited<V>): Generator<Link> {
    for (let next = at; next < links.length; next++) {
      const link = links[next] as string;
      if (!this.#seen.has(link))
        yield { key: link, from: this.#isRoot.has(link) ? undefined : key };
    }
  }
}

/** Lets go of an entry; it is read again when its turn comes. */
function release<V>(frame: Frame<V>): void {
  frame.visited = undefined;
  frame.at = 0;
}
