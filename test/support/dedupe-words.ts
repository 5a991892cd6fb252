/** Dedupe buffers driven and read by words: `a=1`, `a deleted`, `in-sync`. */
import type {
  DedupeBuffer,
  DedupeSink,
  DedupeStatus,
  DedupeUpdate,
  DedupeWindow,
  SinkUpdate,
} from '../../src/kernel/dedupe-buffer/index.ts';

export type Words = DedupeUpdate<string>;

const statuses: ReadonlySet<string> = new Set(['wait-for-datastore', 'resync', 'in-sync']);

/** `a=1` is a value, `a=` a delete. */
export function updateOf(word: string): Words {
  const [key = '', value = ''] = word.split('=');
  return value === '' ? { key, deleted: true } : { key, value };
}

/** Gives a buffer updates, statuses and, as `reconnect`, new connections. */
export function feed(buffer: DedupeBuffer<string>, ...words: string[]): void {
  for (const word of words)
    if (word === 'reconnect') buffer.onReconnect();
    else if (statuses.has(word)) buffer.onStatusUpdated(word as DedupeStatus);
    else buffer.onUpdates([updateOf(word)]);
}

export const wordOf = ({ key, value, kind }: SinkUpdate<Words>): string =>
  kind === 'deleted' ? `${key} deleted` : `${key}=${value} ${kind}`;

/** What a window tells its sink. */
export function wordsOf(window: DedupeWindow<Words> | 'empty' | 'stopped'): string[] {
  if (typeof window === 'string') return [window];
  return window.parts.flatMap((part) =>
    part.type === 'status' ? [part.status] : part.updates.map(wordOf),
  );
}

/** Takes the window that there must be. */
export function take(buffer: DedupeBuffer<string>): DedupeWindow<Words> {
  const window = buffer.tryNext();
  if (typeof window === 'string') throw new Error(`no window: ${window}`);
  return window;
}

/** A sink that keeps what it is told, each call being held until it is let go on. */
export class HeldSink implements DedupeSink<Words> {
  readonly told: string[] = [];
  #held: PromiseWithResolvers<void> | undefined;

  /** Whether a call waits. */
  get busy(): boolean {
    return this.#held !== undefined;
  }

  onUpdates(updates: readonly SinkUpdate<Words>[]): Promise<void> {
    return this.#hold(updates.map(wordOf));
  }

  onStatusUpdated(status: DedupeStatus): Promise<void> {
    return this.#hold([status]);
  }

  /** Ends the call that waits. */
  release(error?: Error): void {
    const held = this.#held;
    this.#held = undefined;
    if (error === undefined) held?.resolve();
    else held?.reject(error);
  }

  #hold(words: readonly string[]): Promise<void> {
    if (this.#held !== undefined) throw new Error('called while it was busy');
    this.told.push(...words);
    this.#held = Promise.withResolvers();
    return this.#held.promise;
  }
}
