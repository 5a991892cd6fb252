import type { Entry } from '../store/entry.ts';
import { changeBytes } from '../store/feed/commit-log.ts';
import type { GraphNode } from './walk-graph.ts';

/** Entries that nodes have at hand, so that they need not be read again: the newest, within so many bytes, and all roots. */
export class HeldEntries {
  readonly #maxBytes: number;
  /** Oldest first. */
  readonly #sizes: Map<GraphNode, number> = new Map();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  hold(node: GraphNode, entry: Entry<unknown>): void {
    this.letGo(node);
    node.entry = entry;
    if (node.isRoot) return;
    const bytes = changeBytes(node.key, entry.value);
    this.#sizes.set(node, bytes);
    this.#bytes += bytes;
    for (const oldest of this.#sizes.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      this.letGo(oldest);
    }
  }

  letGo(node: GraphNode): void {
    node.entry = undefined;
    this.#bytes -= this.#sizes.get(node) ?? 0;
    this.#sizes.delete(node);
  }
}
