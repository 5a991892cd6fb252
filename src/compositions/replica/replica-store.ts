import { chain } from '../../kernel/awaitable.ts';
import { Traffic } from '../../kernel/traffic.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import { StrataError } from '../../store/errors.ts';
import { FIRST_USER_KEY, type KeyRange } from '../../store/keys.ts';
import type { Feed, FeedPage, Primitives } from '../../store/primitives.ts';
import { AtOnce } from './at-once.ts';
import type { WasDeleted } from './compare.ts';
import type { ReplicaEvent, ReplicaStatus } from './events.ts';
import { FirstStore } from './first-store.ts';
import { ReplicaJournal } from './journal.ts';
import { Lane } from './lane.ts';
import type { Member } from './member.ts';
import { Opening } from './opening.ts';
import { ownValuesOf } from './own-values.ts';
import { Reader } from './reader.ts';
import {
  bytesOf,
  capabilitiesOf,
  journalCodecOf,
  type ReplicaParts,
  shapeOf,
  valueChecksOf,
} from './replica-parts.ts';
import { type ScanItems, scanAll } from './scans.ts';
import { fromCopy } from './stamps.ts';
import type { Told } from './told.ts';
import { Writer } from './writer.ts';

/** The members of a replica at work. */
export class Replica<V> {
  readonly parts: ReplicaParts<V>;
  readonly first: FirstStore<V, Told<V>>;
  /** Of the other synchronous members, and of the asynchronous ones. */
  readonly sync: readonly Lane<V>[];
  readonly async: readonly Lane<V>[];
  readonly journal: ReplicaJournal<V> | undefined;
  readonly opening: Opening<V>;
  readonly traffic: Traffic;
  readonly #reader: Reader<V>;
  readonly #writer: Writer<V>;
  readonly #atOnce: AtOnce<V> | undefined;
  #failed: StrataError | undefined;
  #closed = false;

  constructor(parts: ReplicaParts<V>) {
    const { env, first, feed, sync, async, needed, options } = parts;
    this.parts = parts;
    this.traffic = new Traffic(env);
    this.first = new FirstStore<V, Told<V>>(first, feed, bytesOf, {
      onCommit: (commit) => ({
        ...commit,
        async: this.async.map((lane) => lane.offer(commit)),
        sync: this.sync.map((lane, at) => lane.offer(commit, commit.intents?.[at])),
      }),
      onUnknown: (keys) => {
        for (const lane of this.lanes) lane.doubt(keys);
      },
      onRewound: () => this.#rewound(),
    });
    this.journal = this.#journalOf(parts);
    this.sync = sync.map((member) => this.#laneOf(member, true));
    this.async = async.map((member) => this.#laneOf(member, false));
    this.opening = new Opening({
      ...parts,
      first: this.first,
      journal: this.journal,
      onEvent: (event) => this.tell(event),
      onOpen: () => {
        this.journal?.begin();
        for (const lane of this.lanes) lane.start();
        for (const lane of this.lanes) lane.kick();
      },
    });
    const { first: one, sync: lanes } = this;
    this.#reader = new Reader({ first: one, lanes, hedged: options.read === 'hedged' });
    const { async: behind, journal } = this;
    const isAll = needed === lanes.length && lanes.length > 0;
    this.#atOnce =
      isAll && options.intents !== false
        ? new AtOnce({ first: one, sync: lanes, bytesOf })
        : undefined;
    this.#writer = new Writer({
      first: one,
      sync: lanes,
      async: behind,
      needed,
      journal,
      bytesOf,
      atOnce: this.#atOnce,
    });
    this.opening.begin();
  }

  get lanes(): readonly Lane<V>[] {
    return [...this.sync, ...this.async];
  }

  get failed(): StrataError | undefined {
    return this.#failed;
  }

  get status(): ReplicaStatus {
    const lastError = this.#failed ?? this.opening.failed;
    const state = this.#closed
      ? 'closed'
      : this.#failed !== undefined
        ? 'failed'
        : this.opening.isOpen
          ? 'open'
          : 'opening';
    return {
      state,
      members: this.lanes.map((lane) => lane.status),
      ...(this.journal !== undefined && { journal: this.journal.load }),
      ...(lastError !== undefined && { lastError }),
    };
  }

  /** What a listener throws is its own affair. */
  tell(event: ReplicaEvent): void {
    try {
      this.parts.options.onEvent?.(event);
    } catch {
      return;
    }
  }

  /** Runs a call once the store is open. Errors: `unavailable` while it cannot be; what it failed with for good. */
  run<T>(call: Call, work: () => Awaitable<T>): Awaitable<T> {
    return this.traffic.run(call, () => {
      this.checkFailed(call);
      if (this.opening.isOpen) return work();
      return call.untilEnd(this.opening.opened(call)).then(work);
    });
  }

  checkFailed({ operation, key }: Call): void {
    const cause = this.#failed;
    if (cause === undefined) return;
    throw new StrataError(
      cause.code === 'unknown-outcome' ? 'unavailable' : cause.code,
      `${operation}: the store has failed, because an asynchronous member or the journal did: ${cause.message}`,
      { operation, key, cause, retryable: false },
    );
  }

  read<T>(
    keys: readonly string[],
    call: Call,
    work: (member: Member<V>, call: Call) => Awaitable<T>,
  ): Awaitable<T> {
    return this.run(call, () => this.#reader.read(keys, call, work));
  }

  commit: Primitives<V>['commit'] = (writes, call) =>
    this.run(call, () => this.#writer.commit(writes, call));

  async close(): Promise<void> {
    this.#closed = true;
    await this.opening.close();
    this.journal?.freeze();
    await Promise.all(this.lanes.map((lane) => lane.close()));
    await this.journal?.close();
  }

  #laneOf(member: Member<V>, awaited: boolean): Lane<V> {
    const { retry, options } = this.parts;
    return new Lane({
      member,
      first: this.first,
      awaited,
      retry,
      everyWrite: options.everyWrite === true,
      queueLength: options.queueLength ?? 1_000,
      queueBytes: options.queueBytes ?? 64 * 1024 * 1024,
      maxFenced: options.maxFenced ?? 100_000,
      onEvent: (event) => this.tell(event),
      onFailure: (cause) => !awaited && this.#failWith(cause),
      onRewound: () => this.#rewound(),
      wasDeleted: this.wasDeleted,
      onAdvance: () => {
        this.journal?.sweep();
        this.#atOnce?.wake();
      },
    });
  }

  /** What the journal knows of an entry that only a member has. */
  readonly wasDeleted: WasDeleted<V> = (held, mark) =>
    this.journal?.wasDeleted(held, mark) === true;

  #journalOf(parts: ReplicaParts<V>): ReplicaJournal<V> | undefined {
    const { env, journal: store, options } = parts;
    if (store === undefined) return undefined;
    return new ReplicaJournal({
      store,
      codec: journalCodecOf(parts),
      env,
      maxBytes: options.journalBytes ?? 64 * 1024 * 1024,
      first: this.first,
      lanes: () => this.async,
      onLost: (cause) => this.#fail(cause),
      onDamaged: (record, cause) => this.tell({ type: 'journal-damaged', record, cause }),
    });
  }

  /** An asynchronous member failed: true where that is the end. */
  #failWith(cause: StrataError): boolean {
    if (this.parts.options.asyncFailure !== 'fail-store') return false;
    this.#fail(cause);
    return true;
  }

  #fail(cause: StrataError): void {
    if (this.#failed !== undefined) return;
    this.#failed = cause;
    this.tell({ type: 'failed', cause });
  }

  /** What was known of the members was known in another epoch of the first store. */
  #rewound(): void {
    if (!this.opening.isOpen) return;
    this.first.rewound();
    this.journal?.rewound();
    this.opening.begin();
    for (const lane of this.lanes) lane.rewound();
  }
}

/** The primitives of a replica. */
export function replicaPrimitives<V>(replica: Replica<V>): Primitives<V> {
  const { parts, first } = replica;
  const { env, options, sync, async } = parts;
  const all = [parts.first, ...sync, ...async].map(({ primitives }) => primitives);
  const codec = all.find((member) => member.codec !== undefined)?.codec;
  const guard = all.find((member) => member.guard !== undefined);
  const main = parts.first.primitives;
  const checks = valueChecksOf(parts);
  const ownValues = ownValuesOf(parts);
  const { timeoutMs } = options;
  const give = (member: Member<V>, entry: Entry<V> | undefined): Entry<V> | undefined =>
    entry === undefined || member === parts.first ? entry : fromCopy(entry);
  return {
    shape: shapeOf(parts),
    capabilities: capabilitiesOf(parts),
    env,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(codec !== undefined && { codec }),
    ...(guard !== undefined && { guard: (value: V) => guard.guard?.(value) as V }),
    ...(checks.length > 0 && {
      checkValue: (operation: string, key: string, value: V) => {
        for (const check of checks) check(operation, key, value);
      },
    }),
    ...(main.peek !== undefined && {
      peek: (key: string) =>
        replica.opening.isOpen && replica.failed === undefined ? main.peek?.(key) : undefined,
    }),
    readOne: (key, call) =>
      replica.read([key], call, (member, part) =>
        chain(member.primitives.readOne(key, part), (entry) => give(member, entry)),
      ),
    readMany: (keys, call) =>
      replica.read(keys, call, (member, part) =>
        chain(member.primitives.readMany(keys, part), (entries) =>
          member === parts.first ? entries : entries.map((entry) => entry && fromCopy(entry)),
        ),
      ),
    scan: (range, call) => scanned(replica, entryItems<V>(), range, call),
    scanKeys: (range, call) => scanned(replica, keyItems<V>(), range, call),
    commit:
      ownValues === undefined
        ? replica.commit
        : (writes, call) => replica.commit(ownValues(writes), call),
    feed: replicaFeed(replica, first.feed),
    close: () => replica.close(),
  };
}

function entryItems<V>(): ScanItems<V, Entry<V>> {
  return {
    keyOf: ({ key }) => key,
    open: ({ primitives }, range, call) => primitives.scan(range, call),
    give: fromCopy,
  };
}

function keyItems<V>(): ScanItems<V, string> {
  return {
    keyOf: (key) => key,
    open: ({ primitives }, range, call) => primitives.scanKeys(range, call),
    give: (key) => key,
  };
}

async function* scanned<V, T>(
  replica: Replica<V>,
  items: ScanItems<V, T>,
  range: KeyRange,
  call: Call,
): AsyncGenerator<readonly T[]> {
  await replica.run(call, () => {});
  yield* scanAll({ first: replica.first, lanes: replica.sync }, items, range, call);
}

/** The first store's feed, without the notes of this replica. */
function replicaFeed<V>(replica: Replica<V>, inner: Feed<V>): Feed<V> {
  const { notePrefix } = replica.parts.first;
  return {
    state: (call) => replica.run(call, () => inner.state(call)),
    async *read(after, call) {
      await replica.run(call, () => {});
      for await (const page of inner.read(after, call)) yield withoutNotes(page, notePrefix);
    },
    wait: async (after, call) => {
      await replica.run(call, () => {});
      await inner.wait(after, call);
    },
    epochOf: (rev) => inner.epochOf(rev),
  };
}

function withoutNotes<V>(page: FeedPage<V>, prefix: string): FeedPage<V> {
  const isNote = ({ key }: { readonly key: string }): boolean =>
    key < FIRST_USER_KEY && key.startsWith(prefix);
  if (!page.changes.some(isNote)) return page;
  return { ...page, changes: page.changes.filter((change) => !isNote(change)) };
}
