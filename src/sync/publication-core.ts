import { Call } from '../store/call.ts';
import type { Env, Timer } from '../store/env.ts';
import { StrataError } from '../store/errors.ts';
import type { FeedState, Position } from '../store/primitives.ts';
import { randomId } from '../store/version.ts';
import type { AdmissionLimits } from './admission.ts';
import type { EndReason } from './end-reason.ts';
import type { GroupLimits, GroupSource } from './group-frames.ts';
import { HeadTimes } from './head-times.ts';
import { isPlain } from './plain-shape.ts';
import {
  type ConnectionState,
  type Lag,
  NO_CONNECTIONS,
  type PublicationStatus,
  widen,
} from './publication-status.ts';
import { type Rights, type Scope, type Selection, scopeOf } from './scope.ts';
import type { ServerSessionLimits } from './server-session.ts';
import { SharedSums } from './shared-sums.ts';
import { SharedTail, type TailLimits } from './shared-tail.ts';
import type { SourceSide } from './sides.ts';
import type { SourceSums } from './source-sums.ts';
import { walkedSource } from './walked-groups.ts';
import type { WalkedReach } from './walked-reach.ts';
import type { WriteTarget } from './write-target.ts';
import type { RecordLimits } from './writer-records.ts';

/** Who asks for what. */
export interface AuthorizeRequest {
  /** What the subscriber sent as its token; never empty. */
  readonly token: string;
  /** The web page the connection comes from, as the browser says it; `undefined` elsewhere. */
  readonly origin: string | undefined;
  /** The id by which the store was asked for. */
  readonly storeId: string;
}

/** Decides what a subscriber may do; nothing, or an error, refuses it. */
export type Authorize = (
  request: AuthorizeRequest,
) => Rights | false | undefined | Promise<Rights | false | undefined>;

export interface CoreLimits
  extends GroupLimits,
    TailLimits,
    ServerSessionLimits,
    RecordLimits,
    AdmissionLimits {
  /** Most bytes waiting in this process for one slow connection. */
  readonly bufferedBytes: number;
  /** And for all of them, shared evenly: a frame each at least. */
  readonly totalBufferedBytes: number;
  /** Most connections at once. */
  readonly subscribers: number;
  /** A store with fewer keys is sent whole rather than compared. */
  readonly comparedKeys: number;
  /** Most keys that a walk may reach. */
  readonly walkedKeys: number;
}

const MAX_SPREAD_MS = 1_000;
/** One subscriber as the publication sees it now. */
export interface SubscriberStats {
  /** Random, chosen by the subscriber for its lifetime. */
  readonly id: string;
  /** The newest revision that it holds for sure. */
  readonly rev: number;
  readonly state: ConnectionState;
  /** How many commits of the source that is behind. */
  readonly lag: number;
  /** For how long, at most. */
  readonly lagMs: number;
  /** Bytes that wait in this process for the connection to take them. */
  readonly bufferedBytes: number;
  readonly sentBytes: number;
  readonly sentOperations: number;
  readonly connectedMs: number;
  readonly mayWrite: boolean;
  /** The code with which its own store fails, where it does. */
  readonly trouble?: string;
}

/** What a publication has done and does. */
export interface PublicationStats {
  readonly headRev: number;
  readonly subscribers: readonly SubscriberStats[];
  /** Operations and bytes sent to all subscribers together. */
  readonly sentOperations: number;
  readonly sentBytes: number;
  /** Writes applied for subscribers. */
  readonly appliedWrites: number;
  /** Bytes of frames kept for those a little behind. */
  readonly historyBytes: number;
  readonly accepted: number;
  /** Ended connections, by reason. */
  readonly endings: Readonly<Partial<Record<EndReason, number>>>;
}

/** A connection as its publication knows it. */
export interface Member {
  readonly state: ConnectionState;
  readonly bufferedBytes: number;
  /** The newest revision that it holds for sure. */
  readonly rev: number;
  stats(nowMs: number): SubscriberStats;
  /** Goes away as soon as it holds a revision and all its writes are answered. */
  drain(rev: number, spreadMs: number): void;
  leave(spreadMs: number): void;
  readonly grant: MemberGrant | undefined;
}

/** What a member may do, and by which right. */
export interface MemberGrant {
  readonly request: AuthorizeRequest;
  /** Asks for its rights anew; true when they have become others. */
  reauthorize(spreadMs: number): Promise<boolean>;
  /** Where writes go may have other terms now. */
  tell(head: Position): void;
}

/** The part of a publication that its connections work with. */
export class PublicationCore {
  readonly id: string;
  readonly side: SourceSide;
  readonly env: Env;
  readonly limits: CoreLimits;
  readonly authorize: Authorize | undefined;
  readonly onError: (error: StrataError) => void;
  readonly writes: WriteTarget;
  readonly #selection: Selection;
  readonly #reach: WalkedReach | undefined;
  sentOperations = 0;
  sentBytes = 0;
  appliedWrites = 0;
  #accepted = 0;
  #head: Position | undefined;
  #headMs: number = Number.NEGATIVE_INFINITY;
  #state: PublicationStatus['state'] = 'open';
  readonly #heads = new HeadTimes();
  #onEmpty: (() => void) | undefined;
  #own: string | undefined;
  /** How often rights have been asked for anew. */
  round = 0;
  readonly #members: Set<Member> = new Set();
  readonly #tails: Map<string, SharedTail> = new Map();
  readonly #sums: SharedSums;
  readonly #endings: Partial<Record<EndReason, number>> = {};

  constructor(init: {
    readonly id: string;
    readonly side: SourceSide;
    readonly env: Env;
    readonly limits: CoreLimits;
    readonly authorize: Authorize | undefined;
    readonly selection: Selection;
    readonly reach: WalkedReach | undefined;
    readonly onError: (error: StrataError) => void;
    readonly writes: WriteTarget;
  }) {
    this.id = init.id;
    this.side = init.side;
    this.env = init.env;
    this.#sums = new SharedSums(init.env);
    this.limits = init.limits;
    this.authorize = init.authorize;
    this.#selection = init.selection;
    this.#reach = init.reach;
    this.onError = init.onError;
    this.writes = init.writes;
  }

  /** Whether nobody is let in any more. */
  get isClosed(): boolean {
    return this.#state !== 'open';
  }

  /** What may wait in this process for one connection. */
  get allowedBytes(): number {
    const { bufferedBytes, totalBufferedBytes } = this.limits;
    return Math.min(bufferedBytes, totalBufferedBytes / Math.max(1, this.#members.size));
  }

  get isFull(): boolean {
    return this.#members.size >= this.limits.subscribers;
  }

  get headRev(): number {
    return this.#head?.rev ?? 0;
  }

  /** Looks where the head is, for all who ask within a heartbeat. A store that fails is met elsewhere. */
  refreshHead(): void {
    const nowMs = this.env.monotonicMs();
    if (nowMs - this.#headMs < this.limits.heartbeatMs / 2) return;
    this.#headMs = nowMs;
    this.state().catch(() => undefined);
  }

  /** Where the store stands now. */
  async state(): Promise<FeedState> {
    const call = new Call(this.env, 'publish');
    const state = this.side.feed.state(call);
    const known = state instanceof Promise ? await call.guard(state) : state;
    this.sawHead(known.head);
    return known;
  }

  /** Somebody read up to here; a slow one does not move the head back. */
  sawHead(at: Position): void {
    const head = this.#head;
    if (head !== undefined && at.epoch === head.epoch && at.rev <= head.rev) return;
    this.#heads.moved(head, at, this.env.monotonicMs());
    this.#head = at;
  }

  /** Whether a subscriber can go on from a position, by the store's own word. */
  async canContinue(at: Position, call: Call): Promise<boolean> {
    if (this.#reach?.knows(at) === false) return false;
    try {
      for await (const _ of this.side.feed.read(at, call)) break;
      return true;
    } catch (error) {
      if (error instanceof StrataError && error.code === 'cursor-expired') return false;
      throw error;
    }
  }

  join(member: Member): void {
    this.#members.add(member);
    this.#accepted++;
  }

  part(member: Member): void {
    this.#members.delete(member);
    if (this.#members.size === 0) this.#onEmpty?.();
  }

  /** How far somebody that holds a revision is behind. */
  lagOf(rev: number, nowMs: number): Lag {
    const revs = Math.max(0, this.headRev - rev);
    return { revs, ageMs: revs === 0 ? 0 : this.#heads.ageMs(rev, nowMs) };
  }

  /** Asks for the rights of those connected anew; gives how many have others now. */
  async reauthorize(which: (request: AuthorizeRequest) => boolean): Promise<number> {
    this.round++;
    const grants = [...this.#members].map(({ grant }) => grant);
    const asked = grants.filter((grant) => grant !== undefined && which(grant.request));
    // One after the other they come back, when there are many.
    const spreadMs = Math.min(MAX_SPREAD_MS, asked.length);
    const changed = await Promise.all(asked.map((grant) => grant?.reauthorize(spreadMs)));
    return changed.filter(Boolean).length;
  }

  /** Where writes go may have other terms now. */
  tellTerms(): void {
    const head = this.#head;
    if (head !== undefined) for (const member of this.#members) member.grant?.tell(head);
  }

  count(reason: EndReason): void {
    this.#endings[reason] = (this.#endings[reason] ?? 0) + 1;
  }

  source(scope: Scope, storeId: string): GroupSource {
    const source: GroupSource = { side: this.side, storeId, scope, limits: this.limits };
    const reach = this.#reach;
    if (reach === undefined) return source;
    return { ...source, walked: walkedSource(reach, source) };
  }

  /** The test of the keys that are published at all. */
  get filter(): ((key: string) => boolean) | undefined {
    return this.#selection.filter;
  }

  /** What one subscriber sees of what is published. */
  scope(prefix: string, rights: Rights): Scope {
    return scopeOf(prefix, rights, this.#selection, () => {
      this.#own ??= randomId(this.env);
      return this.#own;
    });
  }

  /** The sums that all subscribers of a scope compare with; `undefined` where there can be none. */
  sums(source: GroupSource, prefix: string): SourceSums | undefined {
    if (!isPlain(this.side.primitives.shape)) return undefined;
    return this.#sums.of(source, prefix);
  }

  /** The tail that all subscribers of a scope share, for as long as one of them follows. */
  follow(source: GroupSource): { readonly tail: SharedTail; release(): void } {
    const id = source.scope.shareId;
    let tail = this.#tails.get(id);
    if (tail === undefined) {
      const { gatherMs, historyBytes } = this.limits;
      // A tail each for every user's own keys must not keep a whole history each.
      const share = (): number => historyBytes / this.#tails.size;
      tail = new SharedTail(source, gatherMs, share, this.env);
      this.#tails.set(id, tail);
    }
    const shared = tail;
    shared.followers++;
    return {
      tail: shared,
      release: () => {
        if (--shared.followers > 0) return;
        shared.close();
        this.#tails.delete(id);
      },
    };
  }

  get #historyBytes(): number {
    let bytes = 0;
    for (const tail of this.#tails.values()) bytes += tail.bytes;
    return bytes;
  }

  stats(): PublicationStats {
    const nowMs = this.env.monotonicMs();
    return {
      headRev: this.headRev,
      subscribers: [...this.#members].map((member) => member.stats(nowMs)),
      sentOperations: this.sentOperations,
      sentBytes: this.sentBytes,
      appliedWrites: this.appliedWrites,
      historyBytes: this.#historyBytes,
      accepted: this.#accepted,
      endings: { ...this.#endings },
    };
  }

  status(greeting: number): PublicationStatus {
    const nowMs = this.env.monotonicMs();
    const connections = { ...NO_CONNECTIONS, greeting };
    const lag = { revs: 0, ageMs: 0 };
    let bufferedBytes = 0;
    for (const member of this.#members) {
      connections[member.state]++;
      bufferedBytes += member.bufferedBytes;
      widen(lag, this.lagOf(member.rev, nowMs));
    }
    const { headRev, sentBytes } = this;
    return {
      state: this.#state,
      headRev,
      connections,
      lag,
      sentBytes,
      bufferedBytes,
      historyBytes: this.#historyBytes,
      accepted: this.#accepted,
      endings: { ...this.#endings },
    };
  }

  /**
   * Sends everybody away: those who hold what is written by now and have their answers at once, all
   * others when they do, or after `drainMs`. The store stays open.
   */
  async close(spreadMs: number, drainMs: number): Promise<void> {
    if (this.#state === 'open') this.#state = 'draining';
    if (drainMs > 0 && this.#members.size > 0) await this.#drain(spreadMs, drainMs);
    this.#state = 'closed';
    this.#sums.close();
    this.#reach?.close();
    for (const member of this.#members) member.leave(spreadMs);
  }

  /** Ends when everybody has left, or the time is over. */
  async #drain(spreadMs: number, drainMs: number): Promise<void> {
    let timer: Timer | undefined;
    const over = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      timer = this.env.setTimer(resolve, drainMs);
    });
    try {
      // A store that hangs must not hold up the end.
      const known = await Promise.race([this.state(), over]);
      for (const member of this.#members) member.drain(known?.head.rev ?? 0, spreadMs);
      await over;
    } catch (error) {
      this.onError(error as StrataError);
    } finally {
      timer?.cancel();
      this.#onEmpty = undefined;
    }
  }
}
