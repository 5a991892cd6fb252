import { batch, computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import { memory } from '../../drivers/memory/index.ts';
import { json } from '../../store/codec.ts';
import { StrataError } from '../../store/errors.ts';
import { describeStore } from '../../store/internals.ts';
import type { Shape } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import type { RemoteChange, SubscriberStats, SubscriptionStatus } from '../../sync/index.ts';
import { webSocket } from '../../sync/index.ts';
import { ArchiveSamples } from './archive-samples.ts';
import { ChangeLog } from './change-log.ts';
import { type LocalCopy, openCopy } from './copy.ts';
import { KeyIndex } from './key-index.ts';
import { Link } from './link.ts';
import { Samples } from './samples.ts';
import type { Served, ServedArchive, ServedShape, ServedStats, ServedValue } from './served.ts';
import { type SourceEntry, sourceEntry } from './source-entry.ts';
import { forgetToken, keepToken } from './token.ts';

/** Changes come in groups; the page is brought up to date this much later, once for all of them. */
const SETTLE_MS = 30;

/** Everything the page knows: the copy of the store, what the server tells of itself, what changes. */
export class Session {
  readonly link: Link<Uint8Array>;
  readonly keys: KeyIndex = new KeyIndex();
  readonly log: ChangeLog = new ChangeLog();
  readonly samples: Samples = new Samples();
  /** Count up whenever what they stand for has changed. */
  readonly keysTick: Signal<number> = signal(0);
  readonly changesTick: Signal<number> = signal(0);
  readonly samplesTick: Signal<number> = signal(0);
  readonly served: Signal<ServedShape | undefined> = signal(undefined);
  readonly stats: Signal<ServedStats | undefined> = signal(undefined);
  readonly subscribers: Signal<readonly SubscriberStats[]> = signal([]);
  /** Absent where the server was given no archive. */
  readonly archive: Signal<ServedArchive | undefined> = signal(undefined);
  readonly archiveSamples: ArchiveSamples = new ArchiveSamples();
  readonly copyShape: Signal<Shape | undefined> = signal(undefined);
  readonly mayWrite: ReadonlySignal<boolean>;
  readonly token: Signal<string>;
  readonly #about: Link<ServedValue>;
  readonly #listeners: Set<(keys: ReadonlyMap<string, boolean>) => void> = new Set();
  #aboutStore: Store<ServedValue> = aboutStore();
  #copy: LocalCopy | undefined;
  #changed: Map<string, boolean> = new Map();
  #changes = 0;
  #settling: ReturnType<typeof setTimeout> | undefined;

  /** `address` is that of the server, like `ws://127.0.0.1:7420/`. */
  constructor(address: string, token: string) {
    this.token = signal(token);
    this.link = new Link<Uint8Array>({
      connector: webSocket(new URL('main', address)),
      store: () => this.store,
      token: () => this.token.value,
      onChange: (change, status) => this.#onChange(change, status),
      discard: () => this.#discard(),
    });
    this.#about = new Link<ServedValue>({
      connector: webSocket(new URL('stats', address)),
      store: () => this.#aboutStore,
      token: () => this.token.value,
      onChange: (change) => this.#onAbout(change),
      discard: async () => {
        this.archive.value = undefined;
        await this.#aboutStore.close();
        this.#aboutStore = aboutStore();
      },
    });
    this.mayWrite = computed(() => this.link.status.value?.mayWrite === true);
  }

  get store(): Store<Uint8Array> {
    if (this.#copy === undefined) throw notOpen();
    return this.#copy.store;
  }

  /** Opens the copy, shows what it has, then connects. */
  async start(): Promise<void> {
    await this.#open();
    if (this.token.value === '') this.link.state.value = { name: 'denied' };
    else this.#connect();
    addEventListener('online', () => this.retry());
  }

  retry(): void {
    this.link.retry();
    this.#about.retry();
  }

  useToken(token: string): void {
    forgetToken();
    keepToken(token);
    this.token.value = token;
    this.#connect();
  }

  /** An entry of the copy, as the source has it. */
  async entry(key: string): Promise<SourceEntry | undefined> {
    return (await this.entries([key])).get(key);
  }

  /** Several at once; those that are no longer there leave the index. */
  async entries(keys: readonly string[]): Promise<Map<string, SourceEntry>> {
    const before = this.#changes;
    const found = await this.store.getEntries(keys);
    // Expiry is no change: only who looks finds out. What changed meanwhile will tell itself.
    if (before === this.#changes) for (const key of keys) if (!found.has(key)) this.#lapsed(key);
    return new Map([...found].map(([key, entry]) => [key, sourceEntry(entry)]));
  }

  /** The source, to write to. Errors: `unavailable` without a connection. */
  get remote(): Store<Uint8Array> {
    const { subscription } = this.link;
    if (subscription === undefined)
      throw new StrataError('unavailable', 'There is no connection to the server now', {
        operation: 'write',
      });
    return subscription.remote;
  }

  /** Calls `fn` with the keys that have changed, and whether they still exist; gives the removal. */
  onChanges(fn: (keys: ReadonlyMap<string, boolean>) => void): () => void {
    this.#listeners.add(fn);
    return () => void this.#listeners.delete(fn);
  }

  #connect(): void {
    this.link.start();
    this.#about.start();
  }

  async #open(): Promise<void> {
    this.#copy = await openCopy();
    this.copyShape.value = describeStore(this.store);
    const keys: string[] = [];
    for await (const key of this.store.keys()) keys.push(key);
    this.keys.load(keys);
    this.keysTick.value++;
  }

  async #discard(): Promise<void> {
    await this.#copy?.discard();
    this.#copy = undefined;
    this.#changed.clear();
    this.log.clear();
    this.keys.load([]);
    await this.#open();
    this.changesTick.value++;
  }

  #onChange({ key, value, deleted }: RemoteChange<Uint8Array>, status: SubscriptionStatus): void {
    this.#changes++;
    this.#changed.set(key, !deleted);
    // The first filling of the copy is no news.
    if (this.link.state.value.name === 'live' || status.snapshots === 0)
      this.log.add(key, value, status.rev, Date.now());
    this.#settling ??= setTimeout(() => this.#settle(), SETTLE_MS);
  }

  #lapsed(key: string): void {
    if (!this.keys.has(key) || this.#changed.has(key)) return;
    this.#changed.set(key, false);
    this.#settling ??= setTimeout(() => this.#settle(), SETTLE_MS);
  }

  #settle(): void {
    this.#settling = undefined;
    const changed = this.#changed;
    this.#changed = new Map();
    batch(() => {
      if (this.keys.apply(changed)) this.keysTick.value++;
      this.changesTick.value++;
    });
    for (const listener of this.#listeners) listener(changed);
  }

  #onAbout({ key, value }: RemoteChange<ServedValue>): void {
    if (value === undefined) return;
    const about = { [key]: value } as Partial<Served>;
    batch(() => {
      if (about.shape !== undefined) this.served.value = about.shape;
      if (about.stats !== undefined) this.stats.value = about.stats;
      if (about.subscribers !== undefined) this.subscribers.value = about.subscribers;
      if (about.archive !== undefined) {
        this.archiveSamples.add(about.archive);
        this.archive.value = about.archive;
      }
    });
    const stats = this.stats.value;
    if (about.subscribers === undefined || stats === undefined) return;
    this.samples.add(stats, about.subscribers);
    this.samplesTick.value++;
  }
}

function aboutStore(): Store<ServedValue> {
  return memory({ codec: json<ServedValue>() });
}

function notOpen(): StrataError {
  return new StrataError('unavailable', 'The local copy is being opened', { operation: 'open' });
}
