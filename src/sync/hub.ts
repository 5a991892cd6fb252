import type { Env } from '../store/env.ts';
import { invalidArgument, StrataError } from '../store/errors.ts';
import * as is from '../store/option-rules.ts';
import { checkOptions } from '../store/options.ts';
import type { Shape } from '../store/primitives.ts';
import type { ReadonlyStore } from '../store/readonly-store.ts';
import { systemEnv } from '../store/system-env.ts';
import { Admission } from './admission.ts';
import type { ConnectionInfo, Reception } from './admit.ts';
import type { EndReason } from './end-reason.ts';
import type { AuthorizeRequest, PublicationCore, PublicationStats } from './publication-core.ts';
import { type Endings, type HubStatus, type Lag, sumOf } from './publication-status.ts';
import {
  type CloseOptions,
  checkClose,
  checkLimits,
  coreOf,
  type Publication,
  type PublishLimits,
  type PublishOptions,
  publish,
} from './publish.ts';
import { ServerConnection } from './server-connection.ts';
import type { Transport } from './transports/transport.ts';

/** How a hub is made. */
export interface HubOptions {
  /** Bounds of connections before they belong to a store, and of all stores together. */
  readonly limits?: Pick<PublishLimits, 'handshakeTimeoutMs' | 'readings' | 'turnTimeoutMs'>;
  /** Clock, timers and randomness; default the real ones. */
  readonly env?: Env;
}

/** One store of a hub. */
export interface HubEntry {
  readonly id: string;
  /** What the store is made of. */
  readonly shape: Shape;
  readonly headRev: number;
  readonly subscribers: number;
  /** Of the subscriber that is furthest behind. */
  readonly lag: Lag;
}

/** Serves many stores by id over one address. */
export interface Hub {
  /** Adds a store, or a publication made before; gives the publication. Errors: `conflict` for an id in use. */
  register<V>(
    id: string,
    what: ReadonlyStore<V> | Publication,
    options?: Omit<PublishOptions<V>, 'id'>,
  ): Publication;
  /** Takes a store out and ends its connections; false when there is none. The store stays open. */
  unregister(id: string, options?: CloseOptions): Promise<boolean>;
  describe(): readonly HubEntry[];
  accept(transport: Transport, info?: ConnectionInfo): void;
  /** As that of each publication; the request says which store. */
  reauthorize(which?: (request: AuthorizeRequest) => boolean): Promise<number>;
  /** By id of the store. */
  stats(): ReadonlyMap<string, PublicationStats>;
  /** The whole at a glance, and each store by itself. */
  status(): HubStatus;
  /** Connections that ended before they belonged to a store, by reason. */
  endings(): Readonly<Partial<Record<EndReason, number>>>;
  /** Lets nobody in any more, and closes every publication. */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Many publications by id. A subscriber names the id in its option `storeId`, or by the path of
 * its address.
 *
 * ```ts
 * const stores = hub();
 * stores.register('notes', notes);
 * await serveWebSocket({ hub: stores, port: 8080 });
 * ```
 */
export function hub(options: HubOptions = {}): Hub {
  checkOptions('hub', options, { limits: is.object, env: is.object });
  return new StoreHub(options);
}

class StoreHub implements Hub {
  readonly #publications: Map<string, Publication> = new Map();
  readonly #endings: Endings = {};
  #state: HubStatus['state'] = 'open';
  readonly #reception: Reception;

  constructor({ limits, env = systemEnv }: HubOptions) {
    const whole = checkLimits('hub', limits);
    this.#reception = {
      env,
      limits: whole,
      admission: new Admission(env, whole),
      greeting: new Set(),
      find: (storeId) => this.#find(storeId),
      count: (reason) => {
        this.#endings[reason] = (this.#endings[reason] ?? 0) + 1;
      },
    };
  }

  register<V>(
    id: string,
    what: ReadonlyStore<V> | Publication,
    options: Omit<PublishOptions<V>, 'id'> = {},
  ): Publication {
    if (this.#state !== 'open')
      throw new StrataError('closed', 'register: the hub is closed', { operation: 'register' });
    if (typeof id !== 'string' || id === '')
      throw invalidArgument('register', 'the id', id, 'a non-empty string');
    if (this.#publications.has(id))
      throw new StrataError('conflict', `register: the id ${JSON.stringify(id)} is in use`, {
        operation: 'register',
      });
    const isMade = typeof what === 'object' && what !== null && 'accept' in what;
    const publication = isMade ? what : publish(what, { ...options, id });
    coreOf('register', publication);
    this.#publications.set(id, publication);
    return publication;
  }

  async unregister(id: string, options?: CloseOptions): Promise<boolean> {
    checkClose(options);
    const publication = this.#publications.get(id);
    if (publication === undefined) return false;
    this.#publications.delete(id);
    await publication.close(options);
    return true;
  }

  describe(): readonly HubEntry[] {
    return [...this.#publications].map(([id, publication]) => {
      const { shape } = coreOf('describe', publication).side.primitives;
      const { headRev, connections, lag } = publication.status();
      const { greeting, ...open } = connections;
      const subscribers = Object.values(open).reduce((sum, count) => sum + count, 0);
      return { id, shape, headRev, subscribers, lag };
    });
  }

  accept(transport: Transport, info: ConnectionInfo = {}): void {
    new ServerConnection(this.#reception, transport, info);
  }

  async reauthorize(which?: (request: AuthorizeRequest) => boolean): Promise<number> {
    const all = [...this.#publications.values()].map((one) => one.reauthorize(which));
    return (await Promise.all(all)).reduce((sum, count) => sum + count, 0);
  }

  stats(): ReadonlyMap<string, PublicationStats> {
    return new Map(
      [...this.#publications].map(([id, publication]) => [id, publication.stats()] as const),
    );
  }

  status(): HubStatus {
    const stores = new Map(
      [...this.#publications].map(([id, publication]) => [id, publication.status()] as const),
    );
    return sumOf(this.#state, stores, this.#reception.greeting.size, this.#endings);
  }

  endings(): Readonly<Partial<Record<EndReason, number>>> {
    return { ...this.#endings };
  }

  async close(options?: CloseOptions): Promise<void> {
    const { spreadMs } = checkClose(options);
    if (this.#state === 'open') this.#state = 'draining';
    const publications = [...this.#publications.values()];
    await Promise.all(publications.map((publication) => publication.close(options)));
    this.#state = 'closed';
    for (const connection of this.#reception.greeting) connection.leave(spreadMs);
    this.#publications.clear();
  }

  /** By id; a hub of one store serves it to those who name none. */
  #find(storeId: string): PublicationCore | undefined {
    // Not the same as an unknown id, after which a subscriber never comes back.
    if (this.#state !== 'open')
      throw new StrataError('unavailable', 'subscribe: the hub is closed', {
        operation: 'subscribe',
      });
    const only = this.#publications.size === 1 ? [...this.#publications.values()][0] : undefined;
    const found = this.#publications.get(storeId) ?? (storeId === '' ? only : undefined);
    return found === undefined ? undefined : coreOf('subscribe', found);
  }
}
