import type { Env } from '../store/env.ts';
import { invalidArgument, type StrataError } from '../store/errors.ts';
import type { OptionRule } from '../store/option-rules.ts';
import * as is from '../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../store/options.ts';
import type { ReadonlyStore } from '../store/readonly-store.ts';
import type { Store } from '../store/store.ts';
import { Admission } from './admission.ts';
import type { ConnectionInfo, Reception } from './admit.ts';
import { unexpected } from './connection-failure.ts';
import { type Forwarder, forwarders } from './forwarding.ts';
import { LEAST_CREDIT_BYTES } from './protocol.ts';
import {
  type Authorize,
  type AuthorizeRequest,
  type CoreLimits,
  PublicationCore,
  type PublicationStats,
} from './publication-core.ts';
import type { PublicationStatus } from './publication-status.ts';
import { type PartOptions, publishedPart } from './published-part.ts';
import { ServerConnection } from './server-connection.ts';
import { sourceSide } from './sides.ts';
import type { Transport } from './transports/transport.ts';
import { forwardTarget, storeTarget } from './write-target.ts';
import { YOUNG_MS } from './writer-records.ts';

/** Bounds of a publication; each has a default. */
export interface PublishLimits {
  /** A frame is closed at so many bytes; default 64 KiB. */
  readonly batchBytes?: number;
  /** Or at so many operations; default 4,096. */
  readonly batchKeys?: number;
  /** Frames kept for subscribers that are a little behind, in bytes, all scopes together; default 4 MiB. */
  readonly historyBytes?: number;
  /** How long updates are gathered at most while most subscribers have not taken the last ones; default 1 ms. */
  readonly gatherMs?: number;
  /** A connection must ask for a store within this; default 10,000. */
  readonly handshakeTimeoutMs?: number;
  /** Less than `ackTimeoutMs`; default 10,000. */
  readonly heartbeatMs?: number;
  /** A subscriber that acknowledges nothing for so long is gone; default 30,000. */
  readonly ackTimeoutMs?: number;
  /** One that takes in nothing of what waits for it for so long is given up; default 60,000. */
  readonly progressTimeoutMs?: number;
  /**
   * So long instead after a group of several frames (a snapshot, a long absence), which it applies as
   * one, and while its own store fails; default 300,000.
   */
  readonly graceMs?: number;
  /** Most bytes on their way to one subscriber, from 64 KiB on; default 4 MiB. */
  readonly creditBytes?: number;
  /** Most bytes waiting in this process for one slow connection; default 1 MiB. */
  readonly bufferedBytes?: number;
  /**
   * Most bytes waiting in this process for all connections together, shared evenly among them;
   * default 4 MiB. For each, one frame may wait whatever the number.
   */
  readonly totalBufferedBytes?: number;
  /** Largest write of a subscriber, in bytes; default 16 MiB. */
  readonly writeBytes?: number;
  /** Most writes of one subscriber that wait to be applied; default 1,024. */
  readonly pendingWrites?: number;
  /** How long a writer's last result is kept, for a write that is asked for again: 10 minutes at least, default 7 days. */
  readonly keepResultsMs?: number;
  /** Of about so many writers the last results are kept; one more writes once one of the others has been silent for 10 minutes. Default 50,000. */
  readonly writers?: number;
  /** Of a group with an `order`, so many bytes wait for their place; the lowest place needs no room. Default 16 MiB. */
  readonly orderedBytes?: number;
  /** Most keys that a `walk` may reach, with eight links for each; about 250 bytes of memory a key with short names. Default 1,000,000. */
  readonly walkedKeys?: number;
  /** Most subscribers at once; default 10,000. */
  readonly subscribers?: number;
  /**
   * Most subscribers that read the store for themselves at once, for a snapshot, a comparison or
   * what they missed; default 32. Others wait their turn. Of a store in a hub, the hub's counts.
   */
  readonly readings?: number;
  /**
   * Who waits longer for its turn is sent away, to come back after a random part of so long; default
   * 30,000. Of a store in a hub, the hub's counts.
   */
  readonly turnTimeoutMs?: number;
  /** A store with fewer keys is sent whole to a copy that cannot resume, rather than compared with it; default 1,000. */
  readonly comparedKeys?: number;
}

/** How a store is published. */
export interface PublishOptions<V> extends PartOptions<V> {
  /** The id by which subscribers may ask for the store; they may also name none. */
  readonly id?: string;
  /**
   * Decides for each subscriber what it may read and write. Without it everybody may read and
   * nobody may write; with it, no token means no.
   */
  readonly authorize?: Authorize;
  /**
   * Where writes of subscribers go, for a store that is a copy: the `remote` of the subscription that
   * fills it. They are done at its source, in any number of hops, and answered when the copy has
   * them. Default the published store itself, where keys that are copied cannot be written.
   */
  readonly forward?: Store<V>;
  readonly limits?: PublishLimits;
  /** Hears what fails on this side: the store, `authorize`. What it throws itself, or a promise it gives rejects with, is ignored. */
  readonly onError?: (error: StrataError) => void;
  /** Clock, timers and randomness; default the store's. */
  readonly env?: Env;
}

/** How connections are ended. */
export interface CloseOptions {
  /** Subscribers come back within a random part of this; default 1,000. */
  readonly spreadMs?: number;
  /**
   * So long those connected may take to get what is written by now, and answers to their own writes,
   * while nobody new comes in; each goes when it has. Default 0: all go at once.
   */
  readonly drainMs?: number;
}

/** A store offered for live replication. */
export interface Publication {
  readonly id: string;
  /** Serves one connection, until it ends. */
  accept(transport: Transport, info?: ConnectionInfo): void;
  /** Totals, and every subscriber by itself. */
  stats(): PublicationStats;
  /** The whole at a glance: connections by state, lag, bytes, ended connections by reason. */
  status(): PublicationStatus;
  /**
   * Asks `authorize` again for subscribers that are connected, all or those that `which` chooses,
   * and takes effect at once: who is refused now is sent away with `denied`; who may read more or
   * less comes back by itself, and gains or loses the difference; what may be written counts from
   * the next write on. Gives how many have other rights than before.
   */
  reauthorize(which?: (request: AuthorizeRequest) => boolean): Promise<number>;
  /**
   * Tells subscribers to come back later, and ends their connections, after `drainMs` at most. The
   * store stays open.
   */
  close(options?: CloseOptions): Promise<void>;
}

const DEFAULT_LIMITS: CoreLimits = {
  batchBytes: 64 * 1024,
  batchKeys: 4_096,
  historyBytes: 4 * 1024 * 1024,
  gatherMs: 1,
  handshakeTimeoutMs: 10_000,
  heartbeatMs: 10_000,
  ackTimeoutMs: 30_000,
  progressTimeoutMs: 60_000,
  graceMs: 300_000,
  creditBytes: 4 * 1024 * 1024,
  bufferedBytes: 1024 * 1024,
  totalBufferedBytes: 4 * 1024 * 1024,
  writeBytes: 16 * 1024 * 1024,
  pendingWrites: 1_024,
  keepResultsMs: 7 * 24 * 3_600_000,
  writers: 50_000,
  orderedBytes: 16 * 1024 * 1024,
  walkedKeys: 1_000_000,
  subscribers: 10_000,
  readings: 32,
  turnTimeoutMs: 30_000,
  comparedKeys: 1_000,
};

/** The longest that messages tell of. */
const MAX_WAIT_MS = 2 ** 31 - 1;

const waitMs: OptionRule = {
  expected: `a whole number of ms from 0 to ${MAX_WAIT_MS}`,
  accepts: (v) => is.count.accepts(v) && (v as number) <= MAX_WAIT_MS,
};

const CLOSE_RULES: OptionRules = { spreadMs: waitMs, drainMs: waitMs };

const LIMIT_RULES: OptionRules = {
  batchBytes: {
    expected: 'a whole number from 1 to 262144',
    accepts: (v) => is.positive.accepts(v) && (v as number) <= 256 * 1024,
  },
  batchKeys: {
    expected: 'a whole number from 1 to 65536',
    accepts: (v) => is.positive.accepts(v) && (v as number) <= 64 * 1024,
  },
  historyBytes: is.count,
  gatherMs: is.count,
  handshakeTimeoutMs: is.durationMs,
  heartbeatMs: {
    expected: `a whole number of ms from 1 to ${MAX_WAIT_MS}`,
    accepts: (v) => is.positive.accepts(v) && (v as number) <= MAX_WAIT_MS,
  },
  ackTimeoutMs: is.durationMs,
  progressTimeoutMs: is.durationMs,
  graceMs: is.durationMs,
  creditBytes: {
    expected: `a whole number of at least ${LEAST_CREDIT_BYTES}`,
    accepts: (v) => is.positive.accepts(v) && (v as number) >= LEAST_CREDIT_BYTES,
  },
  bufferedBytes: is.positive,
  totalBufferedBytes: is.positive,
  writeBytes: is.positive,
  pendingWrites: is.positive,
  keepResultsMs: {
    expected: `a number of ms from ${YOUNG_MS}`,
    accepts: (v) => is.durationMs.accepts(v) && (v as number) >= YOUNG_MS,
  },
  writers: is.positive,
  orderedBytes: is.positive,
  walkedKeys: is.positive,
  subscribers: is.positive,
  readings: is.positive,
  turnTimeoutMs: waitMs,
  comparedKeys: is.count,
};

const RULES: OptionRules = {
  id: is.text,
  filter: is.fn,
  where: is.fn,
  order: is.fn,
  walk: is.object,
  scope: is.text,
  authorize: is.fn,
  forward: is.store,
  codec: is.codec,
  limits: is.object,
  onError: is.fn,
  env: is.object,
};

/** Fills in the defaults and refuses what is no limit. */
export function checkLimits(operation: string, limits: PublishLimits | undefined): CoreLimits {
  checkOptions(operation, limits, LIMIT_RULES);
  const given = Object.entries(limits ?? {}).filter(([, value]) => value !== undefined);
  const whole: CoreLimits = { ...DEFAULT_LIMITS, ...Object.fromEntries(given) };
  // A heartbeat is what a subscriber with nothing to take in acknowledges.
  if (whole.heartbeatMs >= whole.ackTimeoutMs)
    throw invalidArgument(
      operation,
      'the option heartbeatMs',
      whole.heartbeatMs,
      `less than ackTimeoutMs, which is ${whole.ackTimeoutMs}`,
    );
  return whole;
}

/** How connections are ended, checked. */
export function checkClose(options: CloseOptions | undefined): Required<CloseOptions> {
  checkOptions('close', options, CLOSE_RULES);
  return { spreadMs: options?.spreadMs ?? 1_000, drainMs: options?.drainMs ?? 0 };
}

const cores = new WeakMap<object, PublicationCore>();

/** The inside of a publication made by `publish`. */
export function coreOf(operation: string, publication: Publication): PublicationCore {
  const core = cores.get(publication);
  if (core === undefined)
    throw invalidArgument(operation, 'the publication', publication, 'one made by publish()');
  return core;
}

/**
 * Offers a store for live replication: every subscriber gets the whole state and then every change,
 * in whole groups, and resumes where it left off. The store must have a feed, and values that are
 * bytes or have a codec.
 *
 * Errors: `unsupported` for a store without a feed, `invalid-argument` for bad options.
 *
 * ```ts
 * const publication = publish(store, {
 *   authorize: ({ token }) => token === secret && { read: true, write: ['notes/'] },
 * });
 * await serveWebSocket({ publication, port: 8080 });
 * ```
 */
export function publish<V>(store: ReadonlyStore<V>, options: PublishOptions<V> = {}): Publication {
  checkOptions('publish', options, RULES);
  const side = sourceSide(store, options.codec);
  const env = options.env ?? side.primitives.env;
  const limits = checkLimits('publish', options.limits);
  const forwarder = forwarderOf(options.forward);
  const onError = tolerant(options.onError);
  const writes =
    forwarder === undefined
      ? storeTarget(side, env, limits, (error) => onError(unexpected(error)))
      : forwardTarget(side, env, forwarder);
  const core = new PublicationCore({
    id: options.id ?? '',
    side,
    env,
    limits,
    writes,
    authorize: options.authorize,
    ...publishedPart(store, options, { side, env, limits }),
    onError,
  });
  const unlisten = forwarder?.onTerms(() => core.tellTerms());
  const reception: Reception = {
    env,
    limits,
    admission: new Admission(env, limits),
    greeting: new Set(),
    find: (storeId: string) => isAskedFor(core, storeId),
    count: core.count.bind(core),
  };
  const publication: Publication = {
    id: core.id,
    accept: (transport, info = {}) => void new ServerConnection(reception, transport, info),
    stats: () => core.stats(),
    reauthorize: async (which = () => true) => {
      if (typeof which !== 'function')
        throw invalidArgument('reauthorize', 'the choice', which, 'a function');
      return core.reauthorize(which);
    },
    status: () => core.status(reception.greeting.size),
    close: async (how) => {
      const { spreadMs, drainMs } = checkClose(how);
      await core.close(spreadMs, drainMs);
      unlisten?.();
      for (const connection of reception.greeting) connection.leave(spreadMs);
    },
  };
  cores.set(publication, core);
  return publication;
}

/** Whoever is told of a failure must not keep its consequences from happening. */
function tolerant(
  onError: ((error: StrataError) => void) | undefined,
): (error: StrataError) => void {
  return (error) => {
    // A throw, or a promise that rejects: nobody is left to be told.
    new Promise<void>((resolve) => resolve(onError?.(error))).catch(() => undefined);
  };
}

function forwarderOf(remote: object | undefined): Forwarder | undefined {
  if (remote === undefined) return undefined;
  const forwarder = forwarders.get(remote);
  if (forwarder === undefined)
    throw invalidArgument('publish', 'the option forward', remote, 'the remote of a subscription');
  return forwarder;
}

/** One publication answers to no name, to its own, and to that of its store. */
async function isAskedFor(
  core: PublicationCore,
  storeId: string,
): Promise<PublicationCore | undefined> {
  if (storeId === '' || storeId === core.id) return core;
  return (await core.state()).storeId === storeId ? core : undefined;
}
