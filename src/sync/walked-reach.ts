import { Call, DEFAULT_TIMEOUT_MS } from '../store/call.ts';
import type { Change, Entry } from '../store/entry.ts';
import type { Env } from '../store/env.ts';
import { isStrataError, StrataError } from '../store/errors.ts';
import { cursorExpired } from '../store/feed/cursor.ts';
import type { Position } from '../store/primitives.ts';
import type { ReadonlyStore } from '../store/readonly-store.ts';
import { LinkReader, missingEntry } from '../walk/link-reader.ts';
import type { Roots } from '../walk/options.ts';
import { askRoots } from '../walk/roots.ts';
import type { Walker } from '../walk/walker.ts';
import { HeldEntries } from './held-entries.ts';
import { KnownPositions } from './known-positions.ts';
import { blame } from './scope.ts';
import type { SourceSide } from './sides.ts';
import { type GraphNode, hasEnded, WalkGraph } from './walk-graph.ts';

/** Entries read at once. */
const READ_KEYS = 256;
const READ_TIMEOUT_MS = 60_000;
/** So many entries are looked at before others get their turn. */
const ENTRIES_A_TURN = 10_000;
/** A source that is never still for long enough is given up after so many tries. */
const MAX_PASSES = 100;
const MAX_EPOCHS = 8;

export interface WalkedReachInit {
  readonly store: ReadonlyStore<unknown>;
  readonly side: SourceSide;
  readonly env: Env;
  readonly roots: Roots;
  readonly walker: Walker<unknown>;
  /** A stored entry as the walker knows it. */
  readonly open: (stored: Entry<unknown>) => Entry<unknown>;
  readonly filter: ((key: string) => boolean) | undefined;
  readonly where: ((entry: Entry<unknown>) => boolean) | undefined;
  readonly maxKeys: number;
  /** Entries at hand for those who are sent them next, in bytes, roots not counted. */
  readonly heldBytes: number;
}

/** A root as it is at the position of a step. */
export interface WalkedRoot {
  readonly key: string;
  /** Absent where it is not there, or not published. */
  readonly entry: Entry<unknown> | undefined;
}

/** What is to be told of one position. */
export interface WalkedStep {
  readonly at: Position;
  /** Each behind what it points to, without the roots. */
  readonly nodes: readonly GraphNode[];
  /** Those of them that are not published. */
  readonly refused: ReadonlySet<GraphNode>;
  /** Each behind the roots that it points to. */
  readonly roots: readonly WalkedRoot[];
}

/**
 * What is reachable in a published store, at one position after the other, for all subscribers
 * together. A change is told by the feed; only what something newly points to is read.
 *
 * What is given here is exactly the state at `at`, or an error: an entry that is newer than that,
 * or not there, means that the feed has more to tell, or that a block is missing.
 */
export class WalkedReach {
  readonly #init: WalkedReachInit;
  readonly #graph: WalkGraph;
  readonly #links: LinkReader<unknown>;
  readonly #call: Call;
  readonly #known = new KnownPositions();
  /** Where the graph was last settled. */
  #at: Position | undefined;
  /** The feed was read up to here. */
  #read: Position | undefined;
  /** Whether anything of the graph may have changed since it was settled. */
  #hasNews = false;
  #unread: GraphNode[] = [];
  /** All that is reachable at `at`, each behind what it points to. */
  #order: readonly GraphNode[] = [];
  /** What the last settling with news has changed of it. */
  #lastStep: readonly GraphNode[] = [];
  readonly #held: HeldEntries;
  #seen = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(init: WalkedReachInit) {
    const { store, env, walker, maxKeys, heldBytes } = init;
    this.#init = init;
    this.#graph = new WalkGraph(maxKeys);
    this.#held = new HeldEntries(heldBytes);
    this.#call = Call.background(env, 'publish');
    this.#links = new LinkReader({
      store,
      env,
      walker,
      operation: 'publish',
      signal: this.#call.signal,
      fresh: false,
      timeoutMs: DEFAULT_TIMEOUT_MS,
    });
  }

  /**
   * Looks at the head, or beyond the head at the call, and tells what a copy lacks there that holds
   * all that was reachable at a known position, or nothing; the keys `again` are told of in any case.
   * Errors: `cursor-expired` for a position at which nobody knows what was reachable,
   * `data-missing` for a missing block, `unavailable` for a walker that fails, `overloaded`.
   */
  step(after: Position | undefined, again: readonly string[], call: Call): Promise<WalkedStep> {
    const done = this.#last.then(async () => {
      const at = await this.#bring();
      if (after !== undefined && !this.knows(after))
        throw cursorExpired('publish', after, 'nobody knows what was reachable then');
      return this.#stepTo(at, after, again);
    });
    this.#last = done.catch(() => undefined);
    return call.untilEnd(done);
  }

  /** Looks at the head, or beyond; which keys may not be as they were at a position. */
  look(
    since: Position | undefined,
    call: Call,
  ): Promise<{ readonly at: Position; readonly changed: readonly string[] | 'all' }> {
    const done = this.#last.then(async () => {
      const at = await this.#bring();
      if (since === undefined || !this.knows(since)) return { at, changed: 'all' as const };
      return { at, changed: this.#changesSince(since).map(({ key }) => key) };
    });
    this.#last = done.catch(() => undefined);
    return call.untilEnd(done);
  }

  /** Whether a key was reachable, and published, when it was last looked at. */
  reaches(key: string): boolean {
    const node = this.#graph.get(key);
    return node?.isReached === true && node.state !== 'refused';
  }

  /** Whether it is known what was reachable at a position, so that the rest can be told from it. */
  knows(at: Position): boolean {
    return this.#known.ageOf(at) !== undefined;
  }

  close(): void {
    this.#call.end('closed');
  }

  #stepTo(at: Position, after: Position | undefined, again: readonly string[]): WalkedStep {
    const nodes = this.#changesSince(after);
    const more = again.flatMap((key) => this.#graph.get(key) ?? []);
    const all =
      more.length === 0
        ? nodes
        : [...new Set([...nodes, ...more.filter(({ isReached }) => isReached)])].sort(
            (a, b) => a.place - b.place,
          );
    const shown = ({ key, state, entry }: GraphNode): WalkedRoot => ({
      key,
      entry: state === 'there' ? entry : undefined,
    });
    return {
      at,
      nodes: all.filter(({ isRoot }) => !isRoot),
      refused: new Set(all.filter(({ state }) => state === 'refused')),
      roots: all.filter(({ isRoot }) => isRoot).map(shown),
    };
  }

  #changesSince(after: Position | undefined): readonly GraphNode[] {
    if (after === undefined) return this.#order;
    const age = this.#known.ageOf(after);
    if (age === 0) return [];
    const from = age === 1 ? this.#lastStep : this.#order;
    return from.filter(({ since, rev }) => since > after.rev || rev > after.rev);
  }

  async #bring(): Promise<Position> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#settle();
      } catch (error) {
        if (!isStrataError(error, 'cursor-expired') || tries >= MAX_EPOCHS) throw error;
        this.#forget();
      }
    }
  }

  /** Another epoch, or too far behind: nothing is known any more. */
  #forget(): void {
    this.#read = undefined;
    this.#at = undefined;
    this.#unread = [];
    this.#known.clear();
    this.#order = [];
    this.#lastStep = [];
    this.#graph.setRoots([]);
    this.#graph.settle(this.#graph.trace(0), 0, 0);
  }

  async #settle(): Promise<Position> {
    const { side, env } = this.#init;
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      const read = await this.#follow();
      if (!this.#hasNews && this.#at !== undefined) return this.#stand(read, false);
      await this.#explore(read);
      const nowMs = env.now();
      const order = this.#graph.trace(nowMs);
      const wrong = order.find((node) => node.isAhead || isMissing(node, nowMs));
      if (wrong === undefined) {
        const from = this.#at?.rev;
        this.#graph.settle(order, read.rev, nowMs);
        this.#order = order;
        this.#lastStep =
          from === undefined ? [] : order.filter(({ since, rev }) => since > from || rev > from);
        return this.#stand(read, true);
      }
      const { head } = await side.feed.state(this.#call);
      if (head.epoch === read.epoch && head.rev === read.rev && !wrong.isAhead)
        throw missingEntry('publish', wrong.key, wrong.from);
    }
    throw new StrataError(
      'unavailable',
      'publish: the store changes faster than what its roots reach can be read',
      { operation: 'publish' },
    );
  }

  #stand(at: Position, isNew: boolean): Position {
    this.#hasNews = false;
    this.#at = at;
    this.#known.add(at, isNew);
    return at;
  }

  /** Reads the feed to the head, and asks for the roots where it has anything to tell. */
  async #follow(): Promise<Position> {
    const { feed } = this.#init.side;
    const { head } = await feed.state(this.#call);
    let read = this.#read;
    if (read === undefined) {
      await this.#askRoots();
      this.#read = head;
      return head;
    }
    const start = read;
    while (read.epoch !== head.epoch || read.rev < head.rev) {
      let end: Position | undefined;
      for await (const page of feed.read(read, this.#call)) {
        for (const change of page.changes) this.#take(change);
        end = page.end;
      }
      if (end === undefined) break;
      read = end;
      this.#read = end;
    }
    if (read !== start) await this.#askRoots();
    return read;
  }

  async #askRoots(): Promise<void> {
    const { store, env, roots } = this.#init;
    const { signal } = this.#call;
    const init = { store, env, operation: 'publish', signal, timeoutMs: DEFAULT_TIMEOUT_MS };
    let keys: readonly string[];
    try {
      keys = (await askRoots(roots, init)).map(({ key }) => key);
    } catch (cause) {
      throw blame('the function for the roots', '', cause);
    }
    for (const node of this.#graph.setRoots(keys)) {
      // Walkers may take roots for something else.
      this.#unknown(node);
      this.#hasNews = true;
    }
    if (this.#read === undefined) this.#hasNews = true;
  }

  #unknown(node: GraphNode): void {
    node.state = 'unread';
    this.#unread.push(node);
  }

  #take(change: Change<unknown>): void {
    const node = this.#graph.get(change.key);
    if (node === undefined) return;
    this.#hasNews = true;
    this.#held.letGo(node);
    if (change.type === 'delete') {
      this.#graph.lose(node, change.rev);
      return;
    }
    node.rev = change.rev ?? 0;
    this.#unknown(node);
    this.#held.hold(node, change);
  }

  /** Reads what is not known, and what that points to. */
  async #explore(read: Position): Promise<void> {
    while (this.#unread.length > 0) {
      const some = this.#unread.splice(-READ_KEYS);
      try {
        await this.#exploreSome(some, read);
      } catch (error) {
        // A walker that fails is asked again.
        this.#unread.push(...some);
        throw error;
      }
      await this.#pause(some.length);
    }
  }

  async #exploreSome(some: readonly GraphNode[], read: Position): Promise<void> {
    const { filter } = this.#init;
    for (const node of some) if (filter?.(node.key) === false) this.#refuse(node);
    const entries = await this.#entriesOf(some.filter(({ state }) => state === 'unread'));
    for (const node of some) {
      if (node.state !== 'unread') continue;
      const entry = entries.get(node.key);
      if (entry === undefined) this.#graph.lose(node, node.rev);
      else await this.#learn(node, entry, read);
    }
  }

  #refuse(node: GraphNode): void {
    this.#held.letGo(node);
    this.#graph.link(node, []);
    Object.assign(node, { state: 'refused', isAhead: false, expiresAt: undefined });
  }

  /** Those at hand too: what is learned of one node may take the entry of another out of hand. */
  async #entriesOf(nodes: readonly GraphNode[]): Promise<Map<string, Entry<unknown>>> {
    const { side, env } = this.#init;
    const found = new Map<string, Entry<unknown>>();
    for (const { key, entry } of nodes) if (entry !== undefined) found.set(key, entry);
    const keys = nodes.filter(({ entry }) => entry === undefined).map(({ key }) => key);
    if (keys.length === 0) return found;
    this.#call.throwIfEnded();
    const call = new Call(env, 'publish', undefined, { timeoutMs: READ_TIMEOUT_MS });
    const release = this.#call.onEnd(() => call.end('closed'));
    const reading = Promise.resolve(side.entries.readMany(keys, call));
    for (const entry of await call.guard(reading).finally(release))
      if (entry !== undefined) found.set(entry.key, entry);
    return found;
  }

  async #learn(node: GraphNode, stored: Entry<unknown>, read: Position): Promise<void> {
    const { open, where } = this.#init;
    const { key, rev = 0, expiresAt } = stored;
    const isPublished = where?.(stored) !== false;
    let links: readonly string[] = [];
    if (isPublished) {
      try {
        links = await this.#links.linksOf(open(stored), node.isRoot);
      } catch (cause) {
        throw blame('the walker', key, cause);
      }
    }
    for (const found of this.#graph.link(node, links)) this.#unread.push(found);
    node.state = isPublished ? 'there' : 'refused';
    node.rev = rev;
    node.expiresAt = expiresAt;
    node.isAhead = rev > read.rev;
    this.#held.hold(node, stored);
  }

  async #pause(entries: number): Promise<void> {
    this.#seen += entries;
    if (this.#seen < ENTRIES_A_TURN) return;
    this.#seen = 0;
    await new Promise<void>((resolve) => {
      this.#init.env.setTimer(resolve, 0);
    });
  }
}

/** A root may be missing; then nothing is reachable from it. */
function isMissing(node: GraphNode, nowMs: number): boolean {
  return !node.isRoot && (node.state === 'missing' || hasEnded(node, nowMs));
}
