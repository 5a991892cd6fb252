import type { Entry } from '../store/entry.ts';
import { StrataError } from '../store/errors.ts';

/** A key that something reachable points to, or a root, and what is known of its entry. */
export interface GraphNode {
  readonly key: string;
  isRoot: boolean;
  /** `refused`: there, and not to be published. */
  state: 'unread' | 'there' | 'refused' | 'missing';
  links: readonly GraphNode[];
  /** Who was first seen to point here. */
  readonly from: string | undefined;
  /** Revision of the last change that is known. */
  rev: number;
  /** Newer than the position at which the graph stands. */
  isAhead: boolean;
  expiresAt: number | undefined;
  /** The entry as it is at `rev`, where it is at hand. */
  entry: Entry<unknown> | undefined;
  /** Whether it was reachable when the graph was last settled, and since which position it has been. */
  isReached: boolean;
  since: number;
  /** Behind all that it points to. */
  place: number;
  /** The last trace that came here. */
  trace: number;
}

/** So many links may be held for each key that may. */
const LINKS_A_KEY = 8;
const NONE: readonly GraphNode[] = [];

/**
 * What points to what, from some roots on. Pure. It is changed as entries are learned, and settled
 * when all of that is the state of one position: from then on it tells what is reachable there, and
 * since when. What is no longer reachable is forgotten, so that it counts as new when it comes back.
 */
export class WalkGraph {
  readonly #nodes: Map<string, GraphNode> = new Map();
  readonly #maxKeys: number;
  #roots: readonly GraphNode[] = [];
  #links = 0;
  #trace = 0;

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  get(key: string): GraphNode | undefined {
    return this.#nodes.get(key);
  }

  /** Makes these the roots; gives those that were none, or are none any more. */
  setRoots(keys: readonly string[]): readonly GraphNode[] {
    const wanted = new Set(keys);
    const changed = this.#roots.filter(({ key }) => !wanted.has(key));
    const roots = keys.map((key) => this.#node(key, undefined));
    for (const node of roots) if (!node.isRoot) changed.push(node);
    for (const node of changed) node.isRoot = wanted.has(node.key);
    this.#roots = roots;
    return changed;
  }

  /** Says what a node points to; gives the nodes that were not known before. Errors: `overloaded`. */
  link(node: GraphNode, keys: readonly string[]): readonly GraphNode[] {
    const before = this.#nodes.size;
    const count = this.#links + keys.length - node.links.length;
    if (count > this.#maxKeys * LINKS_A_KEY) throw this.#tooMuch();
    const links = keys.map((key) => this.#node(key, node.key));
    this.#links = count;
    node.links = links.length === 0 ? NONE : links;
    if (this.#nodes.size === before) return NONE;
    return links.filter(({ state }) => state === 'unread');
  }

  /** All that the roots reach, each behind what it points to; in a cycle one comes too early. */
  trace(nowMs: number): GraphNode[] {
    const trace = ++this.#trace;
    const order: GraphNode[] = [];
    const path: GraphNode[] = [];
    const at: number[] = [];
    const enter = (node: GraphNode): void => {
      if (node.trace === trace) return;
      node.trace = trace;
      path.push(node);
      at.push(0);
    };
    for (const root of this.#roots) {
      enter(root);
      for (let depth = path.length - 1; depth >= 0; depth = path.length - 1) {
        const node = path[depth] as GraphNode;
        const next = at[depth] as number;
        if (next < node.links.length && !hasEnded(node, nowMs)) {
          at[depth] = next + 1;
          enter(node.links[next] as GraphNode);
          continue;
        }
        path.pop();
        at.pop();
        order.push(node);
      }
    }
    return order;
  }

  /** What was last traced is the state at a revision. */
  settle(order: readonly GraphNode[], rev: number, nowMs: number): void {
    for (const [place, node] of order.entries()) {
      node.place = place;
      if (node.state !== 'missing' && hasEnded(node, nowMs)) this.lose(node, node.rev);
      if (node.isReached) continue;
      node.isReached = true;
      node.since = rev;
    }
    if (order.length < this.#nodes.size)
      for (const node of this.#nodes.values()) if (node.trace !== this.#trace) this.#forget(node);
  }

  /** The entry of a node is no longer there. */
  lose(node: GraphNode, rev: number): void {
    this.link(node, []);
    Object.assign(node, { state: 'missing', rev, isAhead: false, entry: undefined });
  }

  #forget(node: GraphNode): void {
    this.#links -= node.links.length;
    node.isReached = false;
    this.#nodes.delete(node.key);
  }

  #node(key: string, from: string | undefined): GraphNode {
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    if (this.#nodes.size >= this.#maxKeys) throw this.#tooMuch();
    const node: GraphNode = {
      key,
      isRoot: false,
      state: 'unread',
      links: NONE,
      from,
      rev: 0,
      isAhead: false,
      expiresAt: undefined,
      entry: undefined,
      isReached: false,
      since: 0,
      place: 0,
      trace: 0,
    };
    this.#nodes.set(key, node);
    return node;
  }

  #tooMuch(): StrataError {
    return new StrataError(
      'overloaded',
      `publish: the walk reaches more than ${this.#maxKeys} keys, or ${LINKS_A_KEY} links for each; limits.walkedKeys says more`,
      { operation: 'publish', retryable: false },
    );
  }
}

/** Whether the entry of a node has come to its end by itself. */
export function hasEnded({ expiresAt }: GraphNode, nowMs: number): boolean {
  return expiresAt !== undefined && expiresAt <= nowMs;
}
