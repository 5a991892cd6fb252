import type { Change, EntryHead } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { CommitLog, type LoggedCommit } from '../../store/feed/commit-log.ts';
import { checkPosition } from '../../store/feed/cursor.ts';
import type { Position } from '../../store/primitives.ts';
import { randomId } from '../../store/version.ts';

/** The last write of a key since the opening. */
export interface Mark {
  readonly key: string;
  readonly rev: number;
  /** Of the entry that was written; absent for a delete. */
  readonly version?: string;
}

/** Ids of commits are known for so many of the last. */
const COMMITS_KEPT = 100_000;
/** What was written since the opening, in the order of the last writes: one mark a key, and a log of whole commits. */
export class History<V> {
  readonly epoch: string;
  readonly #env: Env;
  readonly #log: CommitLog<V>;
  readonly #mostDeletes: number;
  /** In the order of their commits. */
  readonly #marks = new Map<string, Mark>();
  readonly #ids = new Map<number, string>();
  #deletes = 0;
  /** Of the state that was found at the opening; 0 for an empty one. */
  readonly #firstRev: number;
  #floor: number;
  #head: Position;

  constructor(
    env: Env,
    options: {
      readonly empty: boolean;
      readonly logBytes: number | undefined;
      readonly tombstones: number;
    },
  ) {
    this.#env = env;
    this.#log = new CommitLog(options.logBytes);
    this.#mostDeletes = options.tombstones;
    this.#firstRev = options.empty ? 0 : 1;
    this.#floor = this.#firstRev;
    this.epoch = randomId(env);
    this.#head = { epoch: this.epoch, rev: this.#firstRev, id: options.empty ? '' : randomId(env) };
    this.#ids.set(this.#firstRev, this.#head.id);
  }

  get head(): Position {
    return this.#head;
  }

  /** Readers from below this revision may lack a delete. */
  get floor(): number {
    return this.#floor;
  }

  /** The commit that wrote a key; the opening for those that none wrote since. */
  revOf(key: string): number {
    return this.#marks.get(key)?.rev ?? this.#firstRev;
  }

  markOf(key: string): Mark | undefined {
    return this.#marks.get(key);
  }

  /** Adds a commit; `make` gives its changes the revision. */
  add(make: (rev: number) => readonly Change<V>[]): number {
    const rev = this.#head.rev + 1;
    const changes = make(rev);
    for (const change of changes) this.#mark(change, rev);
    this.#head = { epoch: this.epoch, rev, id: randomId(this.#env) };
    this.#ids.set(rev, this.#head.id);
    this.#ids.delete(rev - COMMITS_KEPT);
    this.#log.append(changes, this.#head);
    this.#forget();
    return rev;
  }

  /** The single commit after a revision, where the log still has it. */
  single(afterRev: number): LoggedCommit<V> | undefined {
    return this.#log.at(afterRev + 1);
  }

  /** Marks after a revision, oldest first. */
  since(rev: number, limit: number): Mark[] {
    const found: Mark[] = [];
    for (const mark of this.#marks.values()) {
      if (mark.rev <= rev) continue;
      // Those of one commit stay together.
      if (found.length >= limit && mark.rev !== found.at(-1)?.rev) break;
      found.push(mark);
    }
    return found;
  }

  /** Errors: `cursor-expired`. */
  check(operation: string, after: Position): void {
    checkPosition(operation, after, {
      head: this.#head,
      floor: this.#floor,
      idOf: (rev) => this.#ids.get(rev),
    });
  }

  clear(): void {
    this.#log.clear();
    this.#marks.clear();
    this.#ids.clear();
  }

  #mark(change: Change<V>, rev: number): void {
    const { key } = change;
    const former = this.#marks.get(key);
    if (former !== undefined && former.version === undefined) this.#deletes--;
    this.#marks.delete(key);
    this.#marks.set(key, {
      key,
      rev,
      ...(change.type === 'set' && { version: (change as EntryHead).version }),
    });
    if (change.type === 'delete') this.#deletes++;
  }

  /** Forgets the oldest deletes beyond the bound, and some more, so that the next do not each come here. */
  #forget(): void {
    if (this.#deletes <= this.#mostDeletes) return;
    for (const { key, rev, version } of this.#marks.values()) {
      if (this.#deletes <= this.#mostDeletes * 0.75) break;
      if (version !== undefined) continue;
      this.#marks.delete(key);
      this.#deletes--;
      this.#floor = Math.max(this.#floor, rev);
    }
  }
}
