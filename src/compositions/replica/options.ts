import { checkJournalStore } from '../../kernel/journal/check-journal-store.ts';
import type { Env } from '../../store/env.ts';
import { invalidArgument } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import type { Store } from '../../store/store.ts';
import type { ReplicaEvent } from './events.ts';

/** How several stores become one. */
export interface ReplicaOptions<V> {
  /**
   * The stores that a write waits for; at least one. The first gives the order: conditions,
   * versions, revisions and the feed are its own. It must have a feed and conditional writes.
   */
  readonly sync: readonly Store<V>[];
  /** Stores that get every write later, and are not read from. Default none. */
  readonly async?: readonly Store<V>[];
  /** How many synchronous stores, the first included, have a write before it is acknowledged; default `all`. */
  readonly write?: 'all' | number;
  /**
   * Whether a write without conditions goes to all synchronous stores at the same time: to those that
   * answer late as a record beside their entries, which the entry follows. Default true, where `write`
   * is all. `false`: it goes to the first, and then to the others, to each of them once.
   */
  readonly intents?: boolean;
  /** `first` (default): all synchronous stores are asked and the first success counts. `hedged`: the next is asked when the one before takes longer than it mostly does. */
  readonly read?: 'first' | 'hedged';
  /** Most changes that wait for one store; a writer then waits. Default 1,000. */
  readonly queueLength?: number;
  /** Most bytes that wait for one store, roughly; default 64 MiB. */
  readonly queueBytes?: number;
  /** Whether an asynchronous store gets every single write, in order, instead of the newest of each key; default false. */
  readonly everyWrite?: boolean;
  /** What the failure of an asynchronous store means. `isolate` (default): it is tried again with growing pauses and brought up to date. `fail-store`: every further call fails with its cause. */
  readonly asyncFailure?: 'isolate' | 'fail-store';
  /**
   * Keeps every write until all asynchronous stores have it, so that none is lost with first stores
   * that lose their data. A write is acknowledged when it is there too. A store of its own, durable,
   * with conditional writes and atomic batches; a replica that has one is always to be opened with it.
   */
  readonly journal?: Store<V> | Store<Uint8Array>;
  /** Most bytes that the journal holds, in memory too; a writer then waits. Default 64 MiB. */
  readonly journalBytes?: number;
  /** Longest wait for one call of a member in the background, in ms; default 2,000. */
  readonly memberTimeoutMs?: number;
  /** Pauses before a member that failed is tried again, in ms; default from 100 to 5,000. */
  readonly retry?: { readonly minMs?: number; readonly maxMs?: number };
  /** Most keys a member for which it is remembered that it is behind; beyond it the member is not read at all until it has everything. Default 100,000. */
  readonly maxFenced?: number;
  /** Hears of failures, returns and repairs. */
  readonly onEvent?: (event: ReplicaEvent) => void;
  /** Whether closing closes the members; default true. */
  readonly closeParts?: boolean;
  /** Bound of calls that name none, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; default those of the first store. */
  readonly env?: Env;
}

const stores: is.OptionRule = {
  expected: 'an array of stores',
  accepts: (v) => Array.isArray(v) && v.every((store) => is.store.accepts(store)),
};

const RULES = {
  sync: stores,
  async: stores,
  write: is.either(is.oneOf('all'), is.positive),
  intents: is.boolean,
  read: is.oneOf('first', 'hedged'),
  queueLength: is.positive,
  queueBytes: is.positive,
  everyWrite: is.boolean,
  asyncFailure: is.oneOf('isolate', 'fail-store'),
  journal: is.store,
  journalBytes: is.positive,
  memberTimeoutMs: is.durationMs,
  retry: is.object,
  maxFenced: is.count,
  onEvent: is.fn,
  closeParts: is.boolean,
  timeoutMs: is.durationMs,
  env: is.object,
} satisfies Record<keyof ReplicaOptions<unknown>, is.OptionRule>;

const RETRY_RULES = { minMs: is.durationMs, maxMs: is.durationMs };

/** Refuses options that are unknown, of the wrong kind, or make no sense, with `invalid-argument`. */
export function checkReplicaOptions<V>(options: ReplicaOptions<V>): void {
  checkOptions('replica', options, RULES, ['sync']);
  checkOptions('replica', options.retry, RETRY_RULES);
  const { sync, async = [], write = 'all', retry } = options;
  if (sync.length === 0) throw wrong('sync', sync, 'at least one store');
  if (write !== 'all' && write > sync.length)
    throw wrong('write', write, `'all' or a whole number from 1 to ${sync.length}`);
  const { minMs, maxMs } = retry ?? {};
  if (minMs !== undefined && maxMs !== undefined && minMs > maxMs)
    throw wrong('retry.minMs', minMs, `at most retry.maxMs (${maxMs})`);
  const { journal, journalBytes } = options;
  if (journal !== undefined && async.length === 0)
    throw wrong('journal', journal, 'none without asynchronous stores, for which it keeps writes');
  if (journal === undefined && journalBytes !== undefined)
    throw wrong('journalBytes', journalBytes, 'none without the option journal');
  const journals = journal === undefined ? [] : [journal];
  if (journal !== undefined)
    checkJournalStore('replica', 'the option journal', primitivesOf(journal as Store<never>));
  const seen = new Map<unknown, string>();
  for (const [role, members] of Object.entries({ sync, async, journal: journals }))
    for (const [at, member] of members.entries()) {
      const name = role === 'journal' ? role : `${role}[${at}]`;
      const other = seen.get(member);
      if (other !== undefined)
        throw wrong(name, member, `a store of its own, since it is ${other} too`);
      seen.set(member, name);
    }
}

function wrong(name: string, value: unknown, expected: string): Error {
  return invalidArgument('replica', `the option ${name}`, value, expected);
}
