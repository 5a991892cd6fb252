import { Call } from '../store/call.ts';
import type { Env } from '../store/env.ts';
import { isStrataError, StrataError } from '../store/errors.ts';
import type { Position, Write } from '../store/primitives.ts';
import { applyGroup, type Group, type GroupOrigin } from './apply-group.ts';
import { backoffMs } from './backoff.ts';
import { checkRecords, readRecord, type StoredRecord } from './cursor-record.ts';
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
  /** A group is durable: called in order, before the next is applied. */
  applied(at: Position, changes: readonly Write<unknown>[], groups: number): void;
  /** The local store fails with this; it is tried again until it works. */
  failed(error: StrataError): void;
  /** It works again. */
  recovered(): void;
  /** Groups cannot follow on what the store holds by now: resume from its cursor. */
  lostTrack(): void;
  /** The store will never take the groups. */
  gaveUp(error: StrataError): void;
}

/** Waits between tries of a failing local store. */
const RETRY = { baseMs: 100, capMs: 10_000 };
/** A large group gets so much longer for each write. */
const TIMEOUT_MS_PER_WRITE = 1;

/** Brings groups into the local store, one commit at a time; those that wait meanwhile go together. */
export class Applier {
  readonly #init: ApplierInit;
  #queue: QueuedGroup[] = [];
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
    const call = new Call(env, 'subscribe', undefined, { timeoutMs });
    const state = local.primitives.feed?.state(call);
    this.#ownId = (state instanceof Promise ? await call.guard(state) : state)?.storeId;
    this.#record = await call.guard(readRecord(local, prefix, call));
    return this.#record;
  }

  /** Refuses a source when the store is a copy of another one, or is the source itself, or has a copy that shares keys with this one. */
  async checkSource(sourceId: string): Promise<void> {
    const { local, prefix, env, timeoutMs } = this.#init;
    const call = new Call(env, 'subscribe', undefined, { timeoutMs });
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
    const call = new Call(env, 'subscribe', undefined, { timeoutMs });
    const found = await call.guard(readRecord(local, prefix, call));
    if (found === undefined && this.#record === known && !this.#running) this.#init.lostTrack();
  }

  push(group: QueuedGroup): void {
    if (this.#closed) return;
    this.#queue.push(group);
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
      const waiting = this.#queue;
      this.#queue = [];
      if (!(await this.#apply(merge(waiting), waiting.length))) this.#queue = [];
    }
  }

  /** Tries until the group is in; false when it can never be. */
  async #apply(group: QueuedGroup, groups: number): Promise<boolean> {
    const { local, prefix, env, timeoutMs } = this.#init;
    const own = this.#record?.version;
    const origin = { ...group.origin, ownId: this.#ownId };
    for (let tries = 0; !this.#closed; tries++) {
      const call = new Call(env, 'subscribe', undefined, {
        timeoutMs: timeoutMs + group.writes.length * TIMEOUT_MS_PER_WRITE,
      });
      this.#call = call;
      try {
        // After a failure nobody knows what is there.
        if (tries > 0) this.#record = await call.guard(readRecord(local, prefix, call));
        const done = await call.guard(
          applyGroup(local, prefix, group, origin, this.#record, call, own),
        );
        if (this.#closed) return false;
        if (tries > 0) this.#init.recovered();
        if (done === undefined) {
          this.#init.lostTrack();
          return false;
        }
        // Another subscription may have begun at the same moment.
        if (this.#record === undefined)
          await call.guard(checkRecords(local, prefix, group.origin.sourceId, call));
        this.#record = done.record;
        this.#init.applied(group.to, done.changes, groups);
        return true;
      } catch (error) {
        if (this.#closed) return false;
        const known = asStrataError(error);
        if (known.code === 'closed' || (known.code === 'conflict' && known.key === undefined)) {
          this.#init.gaveUp(known);
          return false;
        }
        this.#init.failed(known);
      }
      await this.#pause.sleep(backoffMs(env, tries, RETRY));
    }
    return false;
  }
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
