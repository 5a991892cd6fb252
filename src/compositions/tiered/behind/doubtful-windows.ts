import type { PendingWrite } from './pending-writes.ts';

/**
 * The writes that were sent with an unknown outcome, by the names in their fences. The same writes
 * have the same name in every try, so that trying on takes no more room.
 */
export class DoubtfulWindows<V> {
  readonly #windows = new Map<string, readonly PendingWrite<V>[]>();

  /** The name under which these writes were sent before, if they were. */
  nameOf(writes: readonly PendingWrite<V>[]): string | undefined {
    for (const [name, sent] of this.#windows)
      if (sent.length === writes.length && sent.every((write, i) => write === writes[i]))
        return name;
    return undefined;
  }

  add(name: string, writes: readonly PendingWrite<V>[]): void {
    if (!this.#windows.has(name)) this.#windows.set(name, writes);
  }

  get(name: string): readonly PendingWrite<V>[] | undefined {
    return this.#windows.get(name);
  }

  clear(): void {
    this.#windows.clear();
  }
}
