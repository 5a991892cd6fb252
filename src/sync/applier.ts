import { Call } from '../store/call.ts';
import type { Env } from '../store/env.ts';
import { isStrataError, StrataError } from '../store/errors.ts';
import type { Position } from '../store/primitives.ts';
import { randomId } from '../store/version.ts';
import {
  type Applied,
  applyGroup,
  type CommitGroup,
  type Group,
  type GroupOrigin,
  type Intended,
  isBehind,
} from './apply-group.ts';
import { commitStaged, keysOfOther } from './apply-staged.ts';
import { backoffMs } from './backoff.ts';
import { checkRecords, readRecord, type StoredRecord } from './cursor-record.ts';
import { canStage, GroupStage, removeKeys, type StagedPart, stagedKeys } from './group-stage.ts';
import { countOf, type Operation } from './operations.ts';
import { Pause } from './pause.ts';
import type { AnySide } from './sides.ts';

/** A group on its way into the local store. */
export interface QueuedGroup extends Group {
  readonly origin: GroupOrigin;
}

export interface ApplierInit {
  readonly local: AnySide;
  readonly prefix: string;
  readonly env: Env;
  readonly timeoutMs: number;
  /** A part of a large group is durable, of so many bytes. */
  staged(bytes: number): void;
  /** Groups are durable: called in order, before the next is applied. */
  moved(at: Position, groups: number): void;
  /** Whether anybody wants to hear of changes. */
  listens(): boolean;
  /** Tells of changes that are durable: after `moved`, in as many calls as needed. */
  changed(changes: readonly Operation<unknown>[]): void;
  /** All of them are told. */
  settled(): void;
  /** The local store fails with this; it is tried again until it works. */
  failed(error: StrataError): void;
  /** It works again. */
  recovered(): void;
  /** Groups cannot follow on what the store holds by now: resume from its cursor. */
  lostTrack(): void;
  /** The store will never take the groups. */
  gaveUp(error: StrataError): void;
}

type Queued = { readonly group: QueuedGroup } | { readonly part: StagedPart };

/** Changes that are told of at once. */
const TELL_KEYS = 1_000;
/** Waits between tries of a failing local store. */
const RETRY = { baseMs: 100, capMs: 10_000 };
/** A large group gets so much longer for each write. */
const TIMEOUT_MS_PER_WRITE = 1;

/** Brings groups into the local store, one commit at a time; those that wait meanwhile go together. */
export class Applier {
  readonly #init: ApplierInit;
  #queue: Queued[] = [];
  #stage: GroupStage | undefined;
  /** Parts that were there before this subscription began. */
  #leftovers: string[] | undefined;
  #record: StoredRecord | undefined;
  #running = false;
  #closed = false;
  #call: Call | undefined;
  readonly #pause: Pause;
  #idle: (() => void)[] = [];

  constructor(init: ApplierInit) {
    this.#init = init;
    this.#pause = new Pause(init.env);
  }

  get record(): StoredRecord | undefined {
    return this.#record;
  }

  /** The local store's own id, where it has one. */
  #ownId: string | undefined;

  /** Reads the cursor. Errors: those of the store; `conflict` when it is the copy of another source than its cursor says. */
  async load(): Promise<StoredRecord | undefined> {
    const { local, prefix, env, timeoutMs } = this.#init;
    const call = localCall(env, timeoutMs);
    const state = local.primitives.feed?.state(call);
    this.#ownId = (state instanceof Promise ? await call.guard(state) : state)?.storeId;
    this.#record = await call.guard(readRecord(local, prefix, call));
    if (canStage(local)) this.#leftovers ??= await call.guard(stagedKeys(local, prefix, call));
    return this.#record;
  }

  /** Refuses a source when the store is a copy of another one, or is the source itself, or has a copy that shares keys with this one. */
  async checkSource(sourceId: string): Promise<void> {
    const { local, prefix, env, timeoutMs } = this.#init;
    const call = localCall(env, timeoutMs);
    if (this.#ownId === sourceId)
      throw new StrataError('conflict', 'subscribe: the local store is the source itself', {
        operation: 'subscribe',
      });
    await call.guard(checkRecords(local, prefix, sourceId, call));
  }

  /** Looks whether the copy is still there: a store that was emptied has no cursor any more. */
  async look(): Promise<void> {
    const { local, prefix, env, timeoutMs } = this.#init;
    const known = this.#record;
    if (known === undefined || this.#running || this.#closed) return;
    const call = localCall(env, timeoutMs);
    const found = await call.guard(readRecord(local, prefix, call));
    if (found === undefined && this.#record === known && !this.#running) this.#init.lostTrack();
  }

  push(...queued: Queued[]): void {
    if (this.#closed) return;
    this.#queue.push(...queued);
    if (!this.#running) this.#run();
  }

  /** Resolves when nothing is queued. */
  idle(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Forgets what is queued; a commit under way is not waited for. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#call?.end('closed');
    this.#pause.cut();
  }

  #run(): void {
    this.#running = true;
    this.#drain()
      .catch((error: unknown) => this.#init.gaveUp(error as StrataError))
      .finally(() => {
        this.#running = false;
        const idle = this.#idle;
        this.#idle = [];
        for (const resolve of idle) resolve();
        if (this.#queue.length > 0 && !this.#closed) this.#run();
      });
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0 && !this.#closed) {
      const [first] = this.#queue as [Queued];
      if ('part' in first) {
        await this.#keep(this.#takeParts(first.part));
        continue;
      }
      const count = this.#together(first.group);
      const groups = this.#queue
        .splice(0, count)
        .flatMap((queued) => ('group' in queued ? queued.group : []));
      if (!(await this.#bring(merge(groups), count))) this.#queue = [];
    }
  }

  /** The parts of one group that wait, as one: each commit has its price. */
  #takeParts(first: StagedPart): StagedPart {
    const end = this.#queue.findIndex(
      (queued, i) => !('part' in queued) || (i > 0 && queued.part.first),
    );
    const count = end < 0 ? this.#queue.length : end;
    const parts = this.#queue
      .splice(0, count)
      .flatMap((queued) => ('part' in queued ? queued.part : []));
    return {
      first: first.first,
      blocks: parts.flatMap(({ blocks }) => blocks),
      keys: parts.reduce((sum, { keys }) => sum + keys, 0),
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  /** How many of the groups that wait can be brought in at once. */
  #together(first: QueuedGroup): number {
    if (first.staged) return 1;
    const end = this.#queue.findIndex((queued) => 'part' in queued || queued.group.staged);
    return end < 0 ? this.#queue.length : end;
  }

  /** Makes a part of a large group durable. */
  async #keep(part: StagedPart): Promise<void> {
    const { local, prefix, env, staged } = this.#init;
    if (part.first) {
      await this.#discard();
      this.#stage = new GroupStage(local, prefix, randomId(env));
    }
    const stage = this.#stage;
    // The group was given up.
    if (stage === undefined) return;
    const isKept = await this.#insist(part.keys, async (call) => {
      await stage.add(part, call);
      return true;
    });
    if (isKept) staged(part.bytes);
  }

  /** Removes what is staged. */
  async #discard(): Promise<void> {
    const stage = this.#stage;
    this.#stage = undefined;
    if (stage !== undefined) await this.#insist(stage.count, (call) => stage.remove(call));
  }

  /** Brings a group in and tells of it; false when that can never be. */
  async #bring(group: QueuedGroup, groups: number): Promise<boolean> {
    const { moved, changed, settled, listens } = this.#init;
    const done = await this.#apply(group, group.staged ? this.#stage : undefined);
    if (done === undefined) return false;
    moved(group.to, groups);
    if (done.changes.length > 0) changed(done.changes);
    if (listens() && group.staged) await this.#tell(done.changedKeys);
    settled();
    await this.#discard();
    await this.#clean();
    return true;
  }

  /** Tells of a staged group. */
  async #tell(changedKeys: ReadonlySet<string> | undefined): Promise<void> {
    const { local, changed } = this.#init;
    const read = (keys: readonly string[], call: Call) =>
      Promise.resolve(local.primitives.readMany(keys, call));
    const keys = [...(changedKeys ?? [])];
    for (let start = 0; start < keys.length; start += TELL_KEYS) {
      const some = keys.slice(start, start + TELL_KEYS);
      const found = (await this.#insist(0, (call) => read(some, call))) ?? [];
      changed(
        some.map((key, i) => {
          const entry = found[i];
          return entry === undefined
            ? { type: 'delete', key }
            : { type: 'set', key, value: entry.value };
        }),
      );
    }
  }

  /** Removes what earlier subscriptions have left. */
  async #clean(): Promise<void> {
    const { local } = this.#init;
    const keys = this.#leftovers;
    if (keys === undefined || keys.length === 0) return;
    this.#leftovers = [];
    await this.#insist(keys.length, (call) => removeKeys(local, keys, call));
  }

  /** Tries until the group is in; `undefined` when it can never be. */
  async #apply(group: QueuedGroup, stage: GroupStage | undefined): Promise<Applied | undefined> {
    const { local, prefix, lostTrack } = this.#init;
    const own = this.#record?.version;
    const { writes } = group;
    const origin = { ...group.origin, ownId: this.#ownId };
    if (group.staged && stage === undefined) {
      lostTrack();
      return undefined;
    }
    const intended: Intended = {};
    const done = await this.#insist(stage?.keys ?? countOf(writes), async (call, tries) => {
      // After a failure nobody knows what is there.
      if (tries > 0) this.#record = await readRecord(local, prefix, call);
      const commit: CommitGroup | undefined =
        stage &&
        ((over) => commitStaged(local, prefix, group, origin, over, stage, intended, call));
      const known = this.#record;
      const applied = await applyGroup(
        local,
        prefix,
        group,
        origin,
        known,
        call,
        own,
        intended,
        commit,
      ).catch(goneAsNone);
      // Another subscription may have begun at the same moment.
      if (this.#record === undefined) await checkRecords(local, prefix, origin.sourceId, call);
      return (await this.#orOfOther(applied, group, origin, stage, call)) ?? 'lost';
    });
    if (done === 'lost') lostTrack();
    if (done === undefined || done === 'lost') return undefined;
    this.#record = done.record;
    return done;
  }

  /** What came of a staged group where another tab was quicker, which may have removed its parts. */
  async #orOfOther(
    applied: Applied | undefined,
    group: QueuedGroup,
    origin: GroupOrigin,
    stage: GroupStage | undefined,
    call: Call,
  ): Promise<Applied | undefined> {
    if (stage === undefined || applied?.changedKeys !== undefined) return applied;
    const { local, prefix } = this.#init;
    const record = applied?.record ?? (await readRecord(local, prefix, call));
    if (record?.record.sourceId !== origin.sourceId) return undefined;
    if (!isBehind(group, origin, record)) return undefined;
    const changedKeys = await keysOfOther(local, prefix, group, stage, record.record, call);
    return changedKeys && { record, changes: [], changedKeys };
  }

  /** Works on the local store until it takes it; `undefined` when that can never be. */
  async #insist<T>(
    writes: number,
    work: (call: Call, tries: number) => Promise<T>,
  ): Promise<T | undefined> {
    const { env, timeoutMs } = this.#init;
    for (let tries = 0; !this.#closed; tries++) {
      const call = localCall(env, timeoutMs + writes * TIMEOUT_MS_PER_WRITE);
      this.#call = call;
      try {
        const done = await call.guard(work(call, tries));
        if (this.#closed) return undefined;
        if (tries > 0) this.#init.recovered();
        return done;
      } catch (error) {
        if (this.#closed) return undefined;
        const known = asStrataError(error);
        if (known.code === 'closed' || (known.code === 'conflict' && known.key === undefined)) {
          this.#init.gaveUp(known);
          return undefined;
        }
        this.#init.failed(known);
      }
      await this.#pause.sleep(backoffMs(env, tries, RETRY));
    }
    return undefined;
  }
}

/** Reads are of the store that counts: a cache in front of it may lack what it has, its cursor too. */
function localCall(env: Env, timeoutMs: number): Call {
  return new Call(env, 'subscribe', undefined, { timeoutMs, fresh: true });
}

/** Groups in a row are one larger group; a fresh one makes those before it idle. */
function merge(groups: readonly QueuedGroup[]): QueuedGroup {
  const from = groups.findLastIndex((group) => group.fresh);
  const rest = groups.slice(Math.max(0, from));
  const [first] = rest as [QueuedGroup];
  const last = rest[rest.length - 1] as QueuedGroup;
  if (first === last) return first;
  return {
    ...last,
    fresh: first.fresh,
    ...(first.compared && { compared: first.compared }),
    from: first.from,
    writes: rest.flatMap((group) => group.writes),
    deletes: rest.some((group) => group.deletes),
  };
}

function asStrataError(error: unknown): StrataError {
  if (isStrataError(error)) return error;
  return new StrataError('unavailable', 'subscribe: the local store failed', {
    operation: 'subscribe',
    cause: error,
  });
}

/** Another tab has taken the parts of a group for what somebody left. */
function goneAsNone(error: unknown): undefined {
  if (!isStrataError(error, 'data-missing')) throw error;
  return undefined;
}
