import { Call } from '../store/call.ts';
import type { Env } from '../store/env.ts';
import { invalidArgument, StrataError, type StrataErrorCode } from '../store/errors.ts';
import type { Position } from '../store/primitives.ts';
import type { MessageOf } from './protocol.ts';
import type { AuthorizeRequest, CoreLimits, PublicationCore } from './publication-core.ts';
import { isRights, type Rights, type Scope } from './scope.ts';

/** What somebody may do with a store. */
export interface Grant {
  /** Who asked for what. */
  readonly request: AuthorizeRequest;
  readonly prefix: string;
  readonly rights: Rights;
  readonly scope: Scope;
  /** How often rights had been asked for anew when these were given. */
  readonly round: number;
}

const RIGHTS =
  'false, or { read, write } of booleans, lists of prefixes or functions of a key, with expiresAt a number, scope a text and limits';

/** What the one who asks may do. Errors: `denied`. */
export async function granted(
  core: PublicationCore,
  request: AuthorizeRequest,
  prefix: string,
): Promise<Grant> {
  const { round } = core;
  const rights = await authorize(core, request);
  return { request, prefix, rights, scope: core.scope(prefix, rights), round };
}

/** With `authorize` set, no token means no. */
async function authorize(core: PublicationCore, request: AuthorizeRequest): Promise<Rights> {
  if (core.authorize === undefined) return { read: true };
  if (request.token === '') throw refusal('denied', 'a token is needed');
  let rights: Rights | false | undefined;
  try {
    rights = await core.authorize(request);
  } catch (cause) {
    core.onError(
      new StrataError('denied', 'publish: authorize failed', { operation: 'publish', cause }),
    );
    throw refusal('denied', 'the token is not accepted');
  }
  const { read = false, write = false } = rights || {};
  if (!rights || (read === false && write === false))
    throw refusal('denied', 'the token is not accepted');
  if (isRights(rights)) return rights;
  core.onError(invalidArgument('publish', 'what authorize gave', rights, RIGHTS));
  throw refusal('denied', 'the token is not accepted');
}

/** Why somebody is not subscribed. */
export function refusal(code: StrataErrorCode, message: string): StrataError {
  return new StrataError(code, `subscribe: ${message}`, { operation: 'subscribe' });
}

export interface LiveGrantInit {
  readonly core: PublicationCore;
  readonly env: Env;
  readonly grant: Grant;
  /** Whether the subscriber can be told of other terms. */
  readonly knowsTerms: boolean;
  /** It has to come back, to read more or less than before. */
  sendAway(spreadMs: number): void;
  /** What it may write, or how long, may be different. */
  changed(terms: MessageOf<'terms'> | undefined): void;
  /** It may nothing any more, or that cannot be found out. */
  failed(error: unknown): void;
}

/** What one connected subscriber may do, by the last word of `authorize`. */
export class LiveGrant {
  readonly #init: LiveGrantInit;
  #grant: Grant;
  /** One question after the other: the last answer counts. */
  #asking: Promise<boolean> = Promise.resolve(false);
  #ended = false;

  constructor(init: LiveGrantInit) {
    this.#init = init;
    this.#grant = init.grant;
  }

  get request(): AuthorizeRequest {
    return this.#grant.request;
  }

  get rights(): Rights {
    return this.#grant.rights;
  }

  get mayWrite(): boolean {
    return mayWrite(this.#grant);
  }

  /** Those of the publication, but for what `authorize` has said. */
  get limits(): CoreLimits {
    const given = Object.entries(this.#grant.rights.limits ?? {});
    const own = given.filter(([, value]) => value !== undefined);
    return { ...this.#init.core.limits, ...Object.fromEntries(own) };
  }

  /** How long the rights last. */
  get lifeMs(): number | undefined {
    const { expiresAt } = this.#grant.rights;
    return expiresAt === undefined ? undefined : Math.max(0, expiresAt - this.#init.env.now());
  }

  /** For a subscriber that knows them. */
  terms(head: Position): MessageOf<'terms'> | undefined {
    const { core, knowsTerms } = this.#init;
    if (!knowsTerms) return undefined;
    const { mayWrite: may, writeBytes, ...results } = core.writes.terms(head);
    return {
      type: 'terms',
      mayWrite: this.mayWrite && may,
      writeBytes: Math.min(this.limits.writeBytes, writeBytes),
      ...results,
    };
  }

  /** Where writes go may have other terms now. */
  tell(head: Position): void {
    if (!this.#ended) this.#init.changed(this.terms(head));
  }

  /** While a subscriber was on its way in, rights may have become others. */
  check(): void {
    if (this.#grant.round !== this.#init.core.round) this.reauthorize(0);
  }

  /** Asks anew; true when the answer is another. */
  reauthorize(spreadMs: number): Promise<boolean> {
    this.#asking = this.#asking
      .then(() => this.#ask(spreadMs))
      .catch((error: unknown) => {
        if (!this.#ended) this.#init.failed(error);
        return true;
      });
    return this.#asking;
  }

  end(): void {
    this.#ended = true;
  }

  async #ask(spreadMs: number): Promise<boolean> {
    const { core, knowsTerms, sendAway, changed } = this.#init;
    const before = this.#grant;
    if (this.#ended) return false;
    // Nobody goes on by rights of which it cannot be found out whether they hold.
    const { handshakeTimeoutMs: timeoutMs } = core.limits;
    const call = new Call(this.#init.env, 'publish', undefined, { timeoutMs });
    const now = await call.guard(granted(core, before.request, before.prefix));
    if (this.#ended) return false;
    // Before anything is waited for: no write may pass under the old rights from here on.
    this.#grant = now;
    if (!canGoOn(before, now) || (!knowsTerms && mayWrite(before) !== mayWrite(now))) {
      sendAway(spreadMs);
      return true;
    }
    const { head } = await core.state();
    if (!this.#ended) changed(this.terms(head));
    return !isSame(before.rights, now.rights);
  }
}

function mayWrite({ rights: { write = false } }: Grant): boolean {
  return write !== false;
}

/** Whether nothing is different but what and how long may be written. */
function canGoOn(before: Grant, now: Grant): boolean {
  return (
    before.scope.id === now.scope.id &&
    before.scope.shareId === now.scope.shareId &&
    isSame(before.rights.limits, now.rights.limits)
  );
}

/** Functions are told apart by what they are, not by what they do. */
function isSame(before: unknown, now: unknown): boolean {
  const isRecord = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null;
  if (!isRecord(before) || !isRecord(now)) return before === now;
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].every((name) => isSame(before[name], now[name]));
}
