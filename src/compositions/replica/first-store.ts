import { attempt } from '../../kernel/awaitable.ts';
import { isNotApplied } from '../../kernel/not-applied.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import { failure, isStrataError } from '../../store/errors.ts';
import type { CommitOutcome, Feed, FeedState, Write } from '../../store/primitives.ts';
import type { Intent } from './intents.ts';
import type { Mark, Member } from './member.ts';
import type { StampedCommit } from './queues.ts';
import { changesOf, type Sequence } from './stamps.ts';

/** A write that other members hold as an intent while it is on its way here. */
export interface Ahead {
  /** Of the other synchronous members, in turn. */
  readonly intents: readonly (Intent | undefined)[];
  /** Another write of its keys was under way beside it. */
  isCrowded: boolean;
}

/** Who hears of what the first store did. */
export interface CommitListener<V, T> {
  /** In the order of revisions for each key; not for all commits. What it gives is handed on. */
  onCommit(commit: StampedCommit<V>): T;
  /** These keys may have been written, and nobody knows. */
  onUnknown(keys: Iterable<string>): void;
  /** The store has lost data: it has used a revision again. */
  onRewound(): void;
}

/** What a commit did, and what those gave who heard of it. */
export interface Committed<T> {
  readonly outcome: CommitOutcome;
  /** Absent where nothing changed. */
  readonly told?: T;
}

/** The first synchronous store: its commits are the order of the replica. */
export class FirstStore<V, T = unknown> implements Sequence {
  readonly member: Member<V>;
  readonly feed: Feed<V>;
  storeId = '';
  epoch = '';
  /** Whether the store has a note of this replica in its present epoch. */
  isNoted = false;
  readonly #bytesOf: (write: Write<V>) => number;
  readonly #listener: CommitListener<V, T>;
  /** Commits under way, by key. */
  readonly #underWay = new Map<string, number>();
  /** Of keys under way: the newest revision that was told. An older one may answer later. */
  readonly #told = new Map<string, number>();
  #commitsUnderWay = 0;
  /** Keys under way of which there was more than one write at once. */
  readonly #crowded = new Set<string>();
  /** No later commit has a revision up to this one, unless the store has lost data. */
  #newest = 0;
  #beganAt = 0;
  #isSteady = false;
  /** How often it has lost data. */
  #losses = 0;

  constructor(
    member: Member<V>,
    feed: Feed<V>,
    bytesOf: (write: Write<V>) => number,
    listener: CommitListener<V, T>,
  ) {
    this.member = member;
    this.feed = feed;
    this.#bytesOf = bytesOf;
    this.#listener = listener;
  }

  /** What the store says of itself counts from here on. */
  begin({ storeId, head }: FeedState): void {
    this.storeId = storeId;
    this.epoch = head.epoch;
    this.#newest = head.rev;
    this.#beganAt = head.rev;
    this.#isSteady = false;
  }

  /** No later commit has a revision up to this one. */
  get newest(): number {
    return this.#newest;
  }

  /** The newest revision when it was opened. */
  get beganAt(): number {
    return this.#beganAt;
  }

  /** Whether it has made a commit since it was opened, and none has failed since. */
  get isSteady(): boolean {
    return this.#isSteady;
  }

  /** The store has lost data: nothing is known of its history until `begin`. */
  rewound(): void {
    this.#losses++;
    this.epoch = '';
    this.#newest = 0;
    this.#isSteady = false;
  }

  /** Whether nothing of the key is being written. */
  isAtRest(key: string): boolean {
    return this.#underWay.size === 0 || !this.#underWay.has(key);
  }

  /** Whether nothing at all is being written. */
  get atRest(): boolean {
    return this.#commitsUnderWay === 0;
  }

  /** Notes that the store belongs to this replica, in its present epoch. */
  async note(): Promise<void> {
    await this.member.writeMark(this.#mark);
    this.isNoted = true;
  }

  get #mark(): Mark {
    return { storeId: this.storeId, at: { epoch: this.epoch, rev: 0, id: '' } };
  }

  epochOf(): string {
    return this.epoch;
  }

  /** For revisions of any age. */
  get history(): Sequence {
    return { storeId: this.storeId, epochOf: (rev) => this.feed.epochOf(rev) };
  }

  state(): Promise<FeedState> {
    return this.member.ask('replicate', (call) => this.feed.state(call));
  }

  /** Commits here, and tells what came of it before it gives the outcome. */
  commit(writes: readonly Write<V>[], call: Call, ahead?: Ahead): Awaitable<Committed<T>> {
    const keys = new Set<string>();
    for (const { key } of writes) keys.add(key);
    this.#enter(keys);
    const newest = this.#newest;
    const losses = this.#losses;
    const noted = this.isNoted ? writes : this.#withNote(writes);
    return attempt(
      () => {
        const result = this.member.primitives.commit(noted, call);
        return ahead !== undefined && result instanceof Promise ? call.untilEnd(result) : result;
      },
      (outcome) => {
        // Nobody knows whether it was before the loss or after it.
        if (losses !== this.#losses) throw this.#lostMeanwhile(keys, call);
        if (noted !== writes) this.isNoted = true;
        // It was begun after that revision was known.
        if ((outcome.rev ?? newest + 1) <= newest) this.#listener.onRewound();
        return this.#succeeded(writes, keys, outcome, ahead);
      },
      (error) => {
        this.#end(keys);
        if (!isStrataError(error, 'conflict')) this.#isSteady = false;
        if (!isNotApplied(error)) this.#listener.onUnknown(keys);
        throw error;
      },
    );
  }

  #lostMeanwhile(keys: Iterable<string>, { operation, key }: Call): Error {
    this.#end(keys);
    this.#listener.onUnknown(keys);
    return failure('unknown-outcome', operation, 'the first store has lost data meanwhile', {
      key,
    });
  }

  /** In the first commit of all, because one of its own would be seen in the feed. */
  #withNote(writes: readonly Write<V>[]): readonly Write<V>[] {
    return [...writes, this.member.markWrite(this.#mark)];
  }

  #enter(keys: Iterable<string>): void {
    this.#commitsUnderWay++;
    for (const key of keys) {
      const others = this.#underWay.get(key) ?? 0;
      this.#underWay.set(key, others + 1);
      if (others > 0) this.#crowded.add(key);
    }
  }

  #end(keys: Iterable<string>): void {
    this.#commitsUnderWay--;
    for (const key of keys) {
      const left = (this.#underWay.get(key) ?? 1) - 1;
      if (left > 0) this.#underWay.set(key, left);
      else {
        this.#underWay.delete(key);
        this.#told.delete(key);
        this.#crowded.delete(key);
      }
    }
  }

  #succeeded(
    writes: readonly Write<V>[],
    keys: Iterable<string>,
    outcome: CommitOutcome,
    ahead: Ahead | undefined,
  ): Committed<T> {
    const { rev } = outcome;
    if (ahead !== undefined && this.#crowded.size > 0)
      for (const key of keys) ahead.isCrowded ||= this.#crowded.has(key);
    if (rev === undefined) {
      this.#end(keys);
      return { outcome };
    }
    this.#newest = Math.max(this.#newest, rev);
    this.#isSteady = this.epoch !== '';
    const changes = changesOf(writes, outcome.outcomes, rev);
    for (const key of changes.keys()) {
      if ((this.#told.get(key) ?? 0) > rev) changes.delete(key);
      else if ((this.#underWay.get(key) ?? 0) > 1) this.#told.set(key, rev);
    }
    let bytes = 0;
    for (const write of writes) bytes += this.#bytesOf(write);
    // Fenced for the others before it ceases to be under way.
    const intents = ahead?.intents;
    const told = this.#listener.onCommit({ rev, changes, bytes, ...(intents && { intents }) });
    this.#end(keys);
    if (outcome.outcomes.length === writes.length) return { outcome, told };
    return { outcome: { rev, outcomes: outcome.outcomes.slice(0, writes.length) }, told };
  }
}
