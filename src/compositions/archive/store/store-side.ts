import { Call } from '../../../store/call.ts';
import type { Env } from '../../../store/env.ts';
import { invalidArgument } from '../../../store/errors.ts';
import { checkKey, toKeyRange } from '../../../store/keys.ts';
import type { Primitives } from '../../../store/primitives.ts';
import { randomId } from '../../../store/version.ts';
import type { ColdObject } from '../cold-objects.ts';
import type { HotAudit } from '../hot-audit.ts';
import { type KeyBounds, type Named, namedBytes } from '../hot-key.ts';
import type {
  FailCause,
  FailedKey,
  HotSide,
  HotStats,
  KeptReason,
  Mark,
  Presence,
  Restored,
  Taken,
  TakeOptions,
} from '../hot-side.ts';
import { Commits } from './commits.ts';
import { type Lane, Layout } from './layout.ts';
import type { Ledger } from './ledger.ts';
import * as steps from './steps.ts';
import { textOf } from './steps.ts';
import { StoreAudit } from './store-audit.ts';

/** Marks that are looked at for the oldest. */
const OLDEST_AMONG = 1_000;
/** Keys of a scan that are looked at together. */
const SCAN_KEYS = 100;

/** How a hot store is used. */
export interface StoreSideOptions {
  readonly timeoutMs?: number;
  /** `ensure` notes at most so often that a key was used, in ms. */
  readonly noteEveryMs: number;
}

/**
 * The keys of a store. Marks and records of evicted keys are under reserved keys of the same store:
 * each step is one commit, on condition that nothing of what it saw has changed.
 */
export class StoreSide implements HotSide {
  readonly title = 'the hot store';
  readonly env: Env;
  readonly namespace: string;
  readonly prefix: string;
  readonly #store: Primitives<Uint8Array>;
  readonly #layout: Layout;
  readonly #commits: Commits;
  readonly #noteEveryMs: number;
  readonly audit: HotAudit;

  constructor(store: Primitives<Uint8Array>, bounds: KeyBounds, options: StoreSideOptions) {
    this.env = store.env;
    this.namespace = bounds.namespace;
    this.prefix = bounds.prefix;
    this.#store = store;
    this.#layout = new Layout(bounds.namespace);
    this.#commits = new Commits(store, this.#layout, options.timeoutMs);
    this.#noteEveryMs = options.noteEveryMs;
    this.audit = new StoreAudit({
      take: (operation, keys, act) => this.#take(operation, keys, act),
      keys: (operation) => this.#keys(operation),
    });
  }

  /** A key of a store is text. */
  checkKey(operation: string, { bytes }: Named): void {
    const text = bytes.toString();
    if (!Buffer.from(text).equals(bytes))
      throw invalidArgument(operation, 'the key', bytes, 'text in UTF-8: the hot side is a store');
    checkKey(operation, text, this.#store.capabilities.maxKeyBytes);
  }

  identity(operation: string, names: boolean): Promise<string | undefined> {
    const ours = names ? randomId(this.env) : undefined;
    const own = [this.#layout.id];
    const step = { users: [], own, do: (ledger: Ledger) => ledger.identity(ours) };
    return this.#commits.take(operation, step);
  }

  mark(operation: string, keys: readonly Named[]): Promise<readonly Named[]> {
    return this.#take(operation, keys, (ledger) => steps.markExisting(ledger, keys));
  }

  async take(operation: string, options: TakeOptions): Promise<readonly Taken[]> {
    const onlyDue = options.only === undefined;
    const keys = options.only ?? (await this.#dueKeys(operation, options.mostKeys));
    if (keys.length === 0) return [];
    return this.#take(operation, keys, (ledger) =>
      steps.take(ledger, keys, { ...options, onlyDue }),
    );
  }

  settle(operation: string, mark: Mark, delayMs: number, sinceMs: number): Promise<boolean> {
    return this.#take(operation, [mark.key], (ledger) =>
      steps.settle(ledger, mark, delayMs, sinceMs),
    );
  }

  fail(operation: string, mark: Mark, delayMs: number, cause: FailCause): Promise<void> {
    return this.#take(operation, [mark.key], (ledger) => steps.fail(ledger, mark, delayMs, cause));
  }

  async failed(operation: string, most: number): Promise<readonly FailedKey[]> {
    const keys = await this.#waiting(operation, 'retry', Number.MAX_SAFE_INTEGER / 2, most);
    return this.#take(operation, keys, (ledger) =>
      keys.flatMap((key): FailedKey[] => {
        const mark = ledger.markOf(textOf(key));
        if (mark === undefined || mark.tries === 0) return [];
        const { code, message, tries, markedAt, dueAt } = mark;
        return [{ key: key.shown, cause: { code, message }, tries, markedAt, nextTryAt: dueAt }];
      }),
    );
  }

  turn(operation: string, name: string, ms: number): Promise<boolean> {
    const own = [this.#layout.turn(name)];
    const step = { users: [], own, do: (ledger: Ledger) => ledger.takeTurn(name, ms) };
    return this.#commits.take(operation, step);
  }

  raise(operation: string, mark: Mark, generation: number): Promise<void> {
    return this.#take(operation, [mark.key], (ledger) => steps.raise(ledger, mark, generation));
  }

  forget(operation: string, keys: readonly Named[]): Promise<number> {
    return this.#take(operation, keys, (ledger) => steps.forget(ledger, keys));
  }

  beginEvict(
    operation: string,
    key: Named,
    idleMs: number,
    leaseMs: number,
  ): Promise<Mark | KeptReason | 'evicted'> {
    return this.#take(operation, [key], (ledger) => steps.beginEvict(ledger, key, idleMs, leaseMs));
  }

  evict(
    operation: string,
    mark: Mark,
    idleMs: number,
    object: Pick<ColdObject, 'generation' | 'digest' | 'expiresAt'>,
  ): Promise<'evicted' | KeptReason> {
    return this.#take(operation, [mark.key], (ledger) => steps.evict(ledger, mark, idleMs, object));
  }

  restore(
    operation: string,
    key: Named,
    generation: number,
    object: Pick<ColdObject, 'expiresAt' | 'payload' | 'digest'>,
  ): Promise<Restored> {
    return this.#take(operation, [key], (ledger) =>
      steps.restore(ledger, key, generation, object, operation),
    );
  }

  presence(operation: string, keys: readonly Named[]): Promise<readonly Presence[]> {
    return this.#take(operation, keys, (ledger) => steps.presence(ledger, keys, this.#noteEveryMs));
  }

  async *idleKeys(operation: string, idleMs: number): AsyncGenerator<readonly Named[]> {
    for await (const keys of this.#keys(operation)) {
      yield await this.#take(operation, keys, (ledger) =>
        keys.filter((key) => {
          const text = textOf(key);
          return ledger.markOf(text) === undefined && ledger.idleMs(text) >= idleMs;
        }),
      );
    }
  }

  #keys(operation: string): AsyncGenerator<readonly Named[]> {
    const call = Call.background(this.env, operation);
    return parts(this.#store.scanKeys(toKeyRange({ prefix: this.prefix }), call));
  }

  async stats(operation: string): Promise<HotStats> {
    const until = Number.MAX_SAFE_INTEGER / 2;
    const [due, retry] = await Promise.all([
      this.#waiting(operation, 'due', until, OLDEST_AMONG),
      this.#waiting(operation, 'retry', until, OLDEST_AMONG),
    ]);
    const keys = [...due, ...retry];
    return this.#take(operation, keys, (ledger) => {
      const { dirty, failing, evicted } = ledger.counts;
      const ages = keys.map((key) => {
        const mark = ledger.markOf(textOf(key));
        return mark === undefined ? 0 : ledger.nowMs - mark.markedAt;
      });
      const oldestMarkMs = ages.reduce((most, age) => Math.max(most, age), 0);
      return { dirty, failing, evicted, oldestMarkMs };
    });
  }

  /** The hot store stays open. */
  async close(): Promise<void> {
    return undefined;
  }

  #take<R>(
    operation: string,
    keys: readonly Named[],
    act: (ledger: Ledger) => R | Promise<R>,
  ): Promise<R> {
    const users = keys.map(textOf);
    const own = users.flatMap((key) => [
      this.#layout.mark(key),
      this.#layout.record(key),
      this.#layout.use(key),
    ]);
    return this.#commits.take(operation, { users, own, do: act });
  }

  /** By turns from both lanes; chance says which begins, so that with one at a time neither waits for ever. */
  async #dueKeys(operation: string, most: number): Promise<readonly Named[]> {
    const nowMs = this.env.now();
    const lanes = await Promise.all([
      this.#waiting(operation, 'due', nowMs, most),
      this.#waiting(operation, 'retry', nowMs, most),
    ]);
    const [a, b] = this.env.random() < 0.5 ? lanes : [lanes[1], lanes[0]];
    const longest = Math.max(a.length, b.length);
    return Array.from({ length: longest }, (_, at) => [a[at], b[at]])
      .flat()
      .filter((key) => key !== undefined)
      .slice(0, most);
  }

  async #waiting(
    operation: string,
    lane: Lane,
    until: number,
    most: number,
  ): Promise<readonly Named[]> {
    const call = this.#commits.call(operation);
    const places = async (): Promise<string[]> => {
      const found: string[] = [];
      const range = this.#layout.waitingUntil(lane, until, most);
      for await (const page of this.#store.scanKeys(range, call)) found.push(...page);
      return found;
    };
    const found = await call.guard(places());
    return found.map((place) => namedBytes(Buffer.from(this.#layout.waitingKey(lane, place))));
  }
}

async function* parts(pages: AsyncIterable<readonly string[]>): AsyncGenerator<readonly Named[]> {
  for await (const page of pages)
    for (let at = 0; at < page.length; at += SCAN_KEYS)
      yield page.slice(at, at + SCAN_KEYS).map((key) => namedBytes(Buffer.from(key)));
}
