import { encodeNode, type TreeChild } from './tree-node.ts';

/** A node has so many children at least, unless it is the last of its level, and at most. */
const MIN_CHILDREN = 32;
const MAX_CHILDREN = 512;
/** A child whose ref begins below this ends its node: one in 128, so that a node ends where it did before a change elsewhere. */
const LAST_BELOW = '02';

/** Stores a node's bytes, and resolves with their ref. */
export type PutNode = (bytes: Uint8Array) => Promise<string>;

/**
 * Builds the tree over chunks as they come: holds one open node a level. The same chunks always
 * give the same tree, and a change within them leaves most of its nodes as they were.
 */
export class TreeBuilder {
  readonly #put: PutNode;
  readonly #open: TreeChild[][] = [];

  constructor(put: PutNode) {
    this.#put = put;
  }

  /** Adds the next chunk. */
  async add(chunk: TreeChild): Promise<void> {
    for (let level = 0, child: TreeChild | undefined = chunk; child !== undefined; level++) {
      this.#open[level] ??= [];
      const children = this.#open[level] as TreeChild[];
      children.push(child);
      const full =
        children.length >= MAX_CHILDREN ||
        (children.length >= MIN_CHILDREN && child.ref < LAST_BELOW);
      if (!full) return;
      this.#open[level] = [];
      child = await this.#close(level, children);
    }
  }

  /** Closes what is open; gives the root. */
  async finish(): Promise<TreeChild> {
    let below: TreeChild | undefined;
    for (let level = 0; ; level++) {
      const children = this.#open[level] ?? [];
      if (below !== undefined) children.push(below);
      const isTop = this.#open.length <= level + 1;
      const [only] = children;
      // Above the chunks a node with one child says nothing new.
      if (isTop && level > 0 && children.length === 1 && only !== undefined) return only;
      below = children.length === 0 && !isTop ? undefined : await this.#close(level, children);
      if (isTop && below !== undefined) return below;
    }
  }

  async #close(level: number, children: readonly TreeChild[]): Promise<TreeChild> {
    const ref = await this.#put(encodeNode({ level, children }));
    return { ref, size: children.reduce((sum, { size }) => sum + size, 0) };
  }
}
