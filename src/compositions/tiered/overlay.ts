import { attempt, chain } from '../../kernel/awaitable.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { isStrataError } from '../../store/errors.ts';
import { RESERVED_PREFIX } from '../../store/keys.ts';
import type { CommitOutcome, Write } from '../../store/primitives.ts';
import type { BackLink } from './back-link.ts';
import { toPlainCopy } from './copies.ts';
import { OverlayBatch, type View } from './overlay-batch.ts';
import type { Door } from './parts.ts';
import type { SourceName } from './source.ts';

/** Under this and the key stands a delete mark: the back's entry is hidden. */
export const MARK: string = `${RESERVED_PREFIX}tiered/deleted/`;

export interface OverlaySetup<V> {
  readonly env: Env;
  readonly source: SourceName<V>;
  /** A miss of the front is a miss. */
  readonly frontOnly: boolean;
  readonly link: BackLink<V>;
  readonly onFrontError: (error: unknown) => void;
  /** What a mark holds, since a store of V holds nothing else; given a value that was deleted. */
  readonly markValue: (value: V) => V;
  /** Reads of the back that others may join. */
  readonly loads: Map<string, Promise<Entry<V> | undefined>>;
}

/**
 * Writes to the front only (policy `front-only`): an overlay over a back that is never changed. The
 * front is the truth here, so its failures are the caller's, and versions and revisions are its own.
 *
 * An entry of the front comes before a mark, a mark before the back. Every change of the front is
 * made on condition that entry and mark of its key are what they were when it was decided: so a copy
 * never replaces an own write or a mark, whatever happened since the back was asked.
 */
export class Overlay<V> {
  readonly #setup: OverlaySetup<V>;
  readonly #front: Door<V>;
  readonly #back: Door<V>;

  constructor(setup: OverlaySetup<V>, front: Door<V>, back: Door<V>) {
    this.#setup = setup;
    this.#front = front;
    this.#back = back;
  }

  readOne(key: string, call: Call): Awaitable<Entry<V> | undefined> {
    return chain(this.#front.readOne(key, call), (own) => {
      if (own !== undefined || this.#setup.frontOnly) return own;
      return chain(this.readMany([key], call), ([entry]) => entry);
    });
  }

  readMany(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]> {
    return chain(this.#own(keys, call), (views) => {
      const missing = views.filter(({ own, mark }) => own === undefined && mark === undefined);
      if (missing.length === 0 || this.#setup.frontOnly) return views.map(({ own }) => own);
      const wanted = missing.map(({ key }) => key);
      return chain(this.#load(wanted, call), (loaded) => {
        const found = new Map(wanted.map((key, i) => [key, loaded[i]]));
        return views.map(({ key, own }) => own ?? found.get(key));
      });
    });
  }

  commit(writes: readonly Write<V>[], call: Call): Awaitable<CommitOutcome> {
    return this.#commit(writes, call, undefined);
  }

  /** One try; `before` says on which state of the front the last one failed. */
  #commit(
    writes: readonly Write<V>[],
    call: Call,
    before: string | undefined,
  ): Awaitable<CommitOutcome> {
    const keys = [...new Set(writes.map(({ key }) => key))];
    return chain(this.#views(keys, call), (views) => {
      const batch = new OverlayBatch<V>(call.operation, views, {
        nowMs: this.#setup.env.now(),
        markKey: (key) => MARK + key,
        markValue: this.#setup.markValue,
      });
      for (const write of writes) batch.add(write);
      const asked = batch.finish();
      if (asked.length === 0) return batch.outcome({ outcomes: [] });
      return attempt(
        () => this.#front.commit(asked, call),
        (done) => batch.outcome(done),
        (error) => {
          const seen = views.map(({ own, mark }) => `${own?.version} ${mark?.version}`).join();
          // The same state twice: it is the caller's condition that fails, not a race.
          if (!isStrataError(error, 'conflict') || seen === before) throw error;
          call.throwIfEnded();
          return this.#commit(writes, call, seen);
        },
      );
    });
  }

  /** What the caller sees of keys, the back's entries included. */
  #views(keys: readonly string[], call: Call): Awaitable<readonly View<V>[]> {
    return chain(this.#own(keys, call), (views) => {
      const wanted = views
        .filter(({ own, mark }) => own === undefined && mark === undefined)
        .map(({ key }) => key);
      if (wanted.length === 0 || this.#setup.frontOnly) return views;
      return chain(
        this.#setup.link.ask(call, (part) => this.#back.readMany(wanted, part)),
        (entries) => {
          const beneath = new Map(wanted.map((key, i) => [key, entries[i]]));
          return views.map((view) => ({ ...view, beneath: beneath.get(view.key) }));
        },
      );
    });
  }

  #own(keys: readonly string[], call: Call): Awaitable<readonly View<V>[]> {
    const marks = keys.map((key) => MARK + key);
    return chain(this.#front.readMany([...keys, ...marks], call), (entries) =>
      keys.map((key, i) => ({
        key,
        own: entries[i],
        mark: entries[keys.length + i],
        beneath: undefined,
      })),
    );
  }

  /** Reads keys from the back, each once for all who ask meanwhile, and keeps copies of them. */
  #load(
    keys: readonly string[],
    call: Call,
    joins = !this.#back.blocking && !call.fresh,
  ): Awaitable<readonly (Entry<V> | undefined)[]> {
    const { env, loads, link } = this.#setup;
    // What is on its way may have begun before what a fresh read asks for was written.
    if (joins && keys.some((key) => loads.has(key)))
      return Promise.all(
        keys.map((key) => {
          const running = loads.get(key);
          return running === undefined
            ? chain(this.#load([key], call), ([entry]) => entry)
            : this.#joined(running, key, call);
        }),
      );
    // No single caller's end ends it.
    const { operation, key: named, timeoutMs, fresh } = call;
    const shared = new Call(env, operation, named, { timeoutMs, fresh });
    const loading = chain(
      link.ask(shared, (part) => this.#back.readMany(keys, part)),
      (entries) => this.#keep(keys, entries, Call.background(env, call.operation)),
    );
    if (!(loading instanceof Promise)) return loading;
    keys.forEach((key, i) => {
      const load = loading
        .then((entries) => entries[i])
        .finally(() => {
          if (loads.get(key) === load) loads.delete(key);
        });
      // Who asked hears of a failure.
      load.catch(() => {});
      loads.set(key, load);
    });
    return loading;
  }

  /** What was read before somebody joined may have ended before that: then it is read again. */
  #joined(
    running: Promise<Entry<V> | undefined>,
    key: string,
    call: Call,
  ): Promise<Entry<V> | undefined> {
    const joined = running.then((entry) => {
      const { expiresAt = Number.POSITIVE_INFINITY } = entry ?? {};
      if (expiresAt > this.#setup.env.now()) return entry;
      return chain(this.#load([key], call, false), ([again]) => again);
    });
    // Who asked hears of a failure, unless another one has told it first.
    joined.catch(() => {});
    return joined;
  }

  /** Puts copies into the front; gives the entries as they stand there then. */
  #keep(
    keys: readonly string[],
    entries: readonly (Entry<V> | undefined)[],
    call: Call,
  ): Awaitable<readonly (Entry<V> | undefined)[]> {
    // What a cache gives in place of its own back would be here for good.
    const found = entries.filter((entry) => entry !== undefined).filter(({ stale }) => !stale);
    if (found.length === 0) return entries;
    const source = this.#back.blocking ? this.#setup.source.now() : this.#setup.source.get();
    return chain(source, (named) => {
      const writes = found.flatMap((entry): Write<V>[] => [
        { ...toPlainCopy(entry, entry.value, named), if: 'absent' },
        { type: 'delete', key: MARK + entry.key, if: 'absent' },
      ]);
      return attempt(
        () => this.#front.commit(writes, call),
        ({ outcomes }) => {
          const copies = new Map(
            found.map((entry, i) => [entry.key, { ...entry, ...outcomes[i * 2]?.entry }]),
          );
          return keys.map((key, i) => copies.get(key) ?? entries[i]);
        },
        (error) => {
          if (!isStrataError(error, 'conflict')) {
            this.#setup.onFrontError(error);
            return entries;
          }
          // Somebody wrote one of the keys: that one counts, the others are tried by themselves.
          if (keys.length === 1) return this.readMany(keys, call);
          return this.#keepEach(keys, entries, call);
        },
      );
    });
  }

  #keepEach(
    keys: readonly string[],
    entries: readonly (Entry<V> | undefined)[],
    call: Call,
  ): Awaitable<readonly (Entry<V> | undefined)[]> {
    const kept = keys.map((key, i) => this.#keep([key], [entries[i]], call));
    if (kept.some((one) => one instanceof Promise))
      return Promise.all(kept).then((all) => all.map(([entry]) => entry));
    return (kept as (readonly (Entry<V> | undefined)[])[]).map(([entry]) => entry);
  }
}
