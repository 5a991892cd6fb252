import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Write } from '../../store/primitives.ts';
import type { Ahead, Committed, FirstStore } from './first-store.ts';
import { type Intent, notWithdrawn } from './intents.ts';
import type { Lane } from './lane.ts';
import type { Told } from './told.ts';

/** What is larger takes two steps, because it would go to each member twice. */
const MOST_WRITES = 16;
const MOST_BYTES = 64 * 1024;
const MOST_META_BYTES = 4 * 1024;

export interface AtOnceSetup<V> {
  readonly first: FirstStore<V, Told<V>>;
  /** Of the other synchronous members. */
  readonly sync: readonly Lane<V>[];
  readonly bytesOf: (write: Write<V>) => number;
}

/** A write on its way to all synchronous members at the same time. */
export interface AheadWrite extends Ahead {
  intents: readonly (Intent | undefined)[];
  readonly epoch: string;
}

/**
 * Writes that go to the first store and, as intents, to the other synchronous members at the same
 * time. A write of a key beside which there may be no intent waits here until there is none.
 */
export class AtOnce<V> {
  readonly #setup: AtOnceSetup<V>;
  #seq = 0;
  /** Of writes that have intents and are under way in the first store. */
  readonly #underWay = new Map<string, number>();
  /** Keys for whose intents to go somebody waits. */
  readonly #awaited = new Map<string, number>();
  #waiting: (() => void)[] = [];

  constructor(setup: AtOnceSetup<V>) {
    this.#setup = setup;
  }

  /** Whether a write can go to all members at once. */
  takes(writes: readonly Write<V>[]): boolean {
    const { first, bytesOf, sync } = this.#setup;
    if (!sync.some(({ writes: { isLate } }) => isLate) || !first.isSteady || !first.isNoted)
      return false;
    if (writes.length > MOST_WRITES || !this.#canAllPut(writes)) return false;
    let bytes = 0;
    for (const write of writes) {
      if (write.if !== undefined || this.#awaited.has(write.key)) return false;
      if (!first.isAtRest(write.key)) return false;
      bytes += bytesOf(write);
      const meta = write.type === 'set' ? write.meta : undefined;
      if (meta !== undefined && JSON.stringify(meta).length > MOST_META_BYTES) return false;
    }
    return bytes <= MOST_BYTES;
  }

  /** Where a member holds an older intent of a key, it must take this one too. */
  #canAllPut(writes: readonly Write<V>[]): boolean {
    const { first, sync } = this.#setup;
    for (const { isLive, intents, writes: own } of sync) {
      if (!isLive || intents.size === 0) continue;
      if (own.isLate && intents.canPut(writes.length, first)) continue;
      if (writes.some(({ key }) => intents.has(key))) return false;
    }
    return writes.length === 1 || new Set(writes.map(({ key }) => key)).size === writes.length;
  }

  /** Writes so. What is to be waited for beyond the first store is `intents` of the second argument. */
  write<R>(
    writes: readonly Write<V>[],
    call: Call,
    done: (committed: Committed<Told<V>>, ahead: AheadWrite | undefined) => Awaitable<R>,
  ): Awaitable<R> {
    const { first, sync } = this.#setup;
    const { storeId, epoch } = first;
    const intended = { storeId, epoch, base: first.newest, seq: ++this.#seq };
    const ahead: AheadWrite = { intents: [], isCrowded: false, epoch };
    const part = new Call(call.env, call.operation, call.key, { timeoutMs: Infinity });
    const committing = first.commit(writes, part, ahead);
    if (!(committing instanceof Promise)) return done(committing, undefined);
    // Whatever the caller hears from now on, an intent may bring it back.
    call.markSent();
    const forget = call.onEnd(() => part.end('timeout'));
    this.#enter(writes);
    ahead.intents = sync.map((lane) =>
      lane.writes.isLate ? lane.intents.put(writes, intended) : undefined,
    );
    return committing.then(
      (committed) => {
        forget();
        this.#leave(writes);
        if (committed.told === undefined) this.#void(ahead);
        return done(committed, ahead);
      },
      async (error: unknown) => {
        forget();
        this.#leave(writes);
        await this.#withdraw(ahead, error, call);
        throw error;
      },
    );
  }

  /** Begins what follows once no intent of these keys is left that could be taken for newer. */
  clear<R>(writes: readonly Write<V>[], call: Call, begin: () => Awaitable<R>): Awaitable<R> {
    if (!this.#isBusy(writes)) return begin();
    return this.#wait(writes, call, begin).then(({ begun }) => begun);
  }

  /** Looks again whether those that wait can go on. */
  wake(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  async #wait<R>(
    writes: readonly Write<V>[],
    call: Call,
    begin: () => Awaitable<R>,
  ): Promise<{ readonly begun: Awaitable<R> }> {
    const keys = new Set(writes.map(({ key }) => key));
    for (const key of keys) this.#awaited.set(key, (this.#awaited.get(key) ?? 0) + 1);
    try {
      while (this.#isBusy(writes))
        await call.untilEnd(new Promise<void>((resolve) => this.#waiting.push(resolve)));
      call.throwIfEnded();
      // Before another write of these keys can have intents again.
      return { begun: begin() };
    } finally {
      for (const key of keys) lower(this.#awaited, key);
    }
  }

  #isBusy(writes: readonly Write<V>[]): boolean {
    const lanes = this.#setup.sync.filter((lane) => lane.isLive && lane.intents.size > 0);
    if (lanes.length === 0 && this.#underWay.size === 0) return false;
    return writes.some(
      ({ key }) => this.#underWay.has(key) || lanes.some((lane) => lane.intents.has(key)),
    );
  }

  #enter(writes: readonly Write<V>[]): void {
    for (const { key } of writes) this.#underWay.set(key, (this.#underWay.get(key) ?? 0) + 1);
  }

  #leave(writes: readonly Write<V>[]): void {
    for (const { key } of writes) lower(this.#underWay, key);
    this.wake();
  }

  #void({ intents }: AheadWrite): void {
    for (const [at, lane] of this.#setup.sync.entries()) {
      const intent = intents[at];
      if (intent !== undefined) lane.intents.withdraw(intent);
    }
  }

  /** Settles when no member holds what the first store has refused. */
  async #withdraw(ahead: AheadWrite, cause: unknown, { operation, key }: Call): Promise<void> {
    this.#void(ahead);
    const { sync } = this.#setup;
    const gone = sync.map((lane, at) => {
      const intent = ahead.intents[at];
      return intent === undefined ? undefined : lane.intents.gone(intent);
    });
    try {
      await Promise.all(gone);
    } catch {
      throw notWithdrawn(cause, operation, key);
    }
  }
}

function lower(counts: Map<string, number>, key: string): void {
  const left = (counts.get(key) ?? 1) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}
