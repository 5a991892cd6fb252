import type { Call } from '../../store/call.ts';
import type { EntryHead } from '../../store/entry.ts';
import { isStrataError, StrataError } from '../../store/errors.ts';
import type { CommitOutcome, Write, WriteOutcome } from '../../store/primitives.ts';
import { toBase64Url } from '../../store/version.ts';
import type { RedisEngine } from './engine.ts';
import { closedStore, commitFailure, damaged, forCall, restless } from './failures.ts';
import { REPLY } from './lua/prelude.ts';
import type { RedisPort, RedisWord } from './port.ts';
import { encodeSet, entryOf } from './records.ts';
import { runScript, SCRIPTS } from './script.ts';

/** A group ends at so many writes or bytes; one commit alone may be larger. */
const GROUP_WRITES = 128;
const GROUP_BYTES = 256 * 1024;
/** Groups under way at once: while Redis works on one, the next is sent. */
const GROUPS_IN_FLIGHT = 2;
/** Redis takes no argument above 512 MiB. */
const MAX_COMMIT_BYTES = 500 * 1024 * 1024;
const REOPENINGS = 3;
const FEW = 1_024;

interface PendingCommit {
  readonly call: Call;
  readonly writes: readonly Write<Uint8Array>[];
  /** What the outcomes of the sets are made of; absent for deletes. */
  readonly heads: readonly (EntryHead | undefined)[];
  readonly header: string;
  readonly args: readonly RedisWord[];
  readonly bytes: number;
  resolve(outcome: CommitOutcome): void;
  reject(error: unknown): void;
}

/**
 * Commits of one moment travel together: one script call applies a group of them, each with its
 * own revision and outcome. A commit is encoded when it is made, and counts as sent when its group is.
 */
export class CommitQueue {
  readonly #engine: RedisEngine;
  readonly #onCommitted: (rev: number) => void;
  #pending: PendingCommit[] = [];
  #purgeAt = FEW;
  #inFlight = 0;
  #scheduled = false;
  #connecting = false;
  #closed = false;
  #idle: (() => void)[] = [];
  #idPool: Uint8Array = new Uint8Array(0);
  #idsLeft = 0;

  /** `onCommitted` hears of every revision made here. */
  constructor(engine: RedisEngine, onCommitted: (rev: number) => void) {
    this.#engine = engine;
    this.#onCommitted = onCommitted;
  }

  commit(writes: readonly Write<Uint8Array>[], call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    if (this.#closed) throw closedStore(call.operation);
    const encoded = this.#encode(writes, call.operation);
    return new Promise((resolve, reject) => {
      this.#pending.push({ call, writes, ...encoded, resolve, reject });
      if (this.#pending.length >= this.#purgeAt) this.#purge();
      if (this.#scheduled) return;
      this.#scheduled = true;
      queueMicrotask(() => {
        this.#scheduled = false;
        this.#flush();
      });
    });
  }

  /** Resolves when nothing is under way any more; from then on takes nothing. */
  async close(): Promise<void> {
    while (this.#inFlight > 0 || this.#pending.length > 0)
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#closed = true;
  }

  #encode(
    writes: readonly Write<Uint8Array>[],
    operation: string,
  ): Pick<PendingCommit, 'heads' | 'header' | 'args' | 'bytes'> {
    const nowMs = this.#engine.env.now();
    const heads: (EntryHead | undefined)[] = [];
    const args: RedisWord[] = [];
    let letters = '';
    let bytes = 0;
    for (const write of writes) {
      const condition = write.if;
      if (condition !== undefined)
        args.push(condition === 'absent' ? 'a' : `=${condition.version}`);
      if (write.type === 'set') {
        letters += condition === undefined ? 's' : 'S';
        const { described, envelope, head } = encodeSet(write, this.#engine.ids, nowMs);
        args.push(described, envelope);
        heads.push(head);
        bytes += envelope.length;
      } else {
        letters += condition === undefined ? 'd' : 'D';
        heads.push(undefined);
      }
    }
    if (bytes > MAX_COMMIT_BYTES)
      throw new StrataError(
        'invalid-argument',
        `${operation}: the writes have ${bytes} bytes; expected at most ${MAX_COMMIT_BYTES} in one batch`,
        { operation },
      );
    return { heads, header: this.#commitId() + letters, args, bytes };
  }

  /** 64 random bits as 11 characters. */
  #commitId(): string {
    if (this.#idsLeft === 0) {
      this.#idPool = this.#engine.env.randomBytes(8 * 512);
      this.#idsLeft = 512;
    }
    const at = 8 * --this.#idsLeft;
    return toBase64Url(this.#idPool.subarray(at, at + 8));
  }

  /** Drops what was given up while a connection hangs. */
  #purge(): void {
    this.#pending = this.#pending.filter((commit) => !this.#gaveUp(commit));
    this.#purgeAt = Math.max(FEW, this.#pending.length * 2);
  }

  #gaveUp({ call, reject }: PendingCommit): boolean {
    if (call.ended === undefined) return false;
    reject(call.ended);
    return true;
  }

  #flush(): void {
    while (this.#pending.length > 0 && this.#inFlight < GROUPS_IN_FLIGHT && !this.#connecting) {
      const { port } = this.#engine.connection;
      if (port === undefined) {
        this.#connect();
        return;
      }
      const group = this.#takeGroup();
      if (group.length > 0) void this.#send(port, group);
    }
    if (this.#inFlight === 0 && this.#pending.length === 0) {
      const waiting = this.#idle;
      this.#idle = [];
      for (const wake of waiting) wake();
    }
  }

  #connect(): void {
    this.#connecting = true;
    const operation = this.#pending[0]?.call.operation ?? 'commit';
    this.#engine.connection
      .connect(operation)
      .catch((error: unknown) => {
        const waiting = this.#pending;
        this.#pending = [];
        for (const { call, reject } of waiting)
          reject(this.#engine.connection.failure(error, call));
      })
      .finally(() => {
        this.#connecting = false;
        this.#flush();
      });
  }

  #takeGroup(): PendingCommit[] {
    const group: PendingCommit[] = [];
    let writes = 0;
    let bytes = 0;
    let taken = 0;
    for (const commit of this.#pending) {
      if (group.length > 0 && (writes >= GROUP_WRITES || bytes >= GROUP_BYTES)) break;
      taken++;
      if (this.#gaveUp(commit)) continue;
      group.push(commit);
      writes += commit.writes.length;
      bytes += commit.bytes;
    }
    this.#pending = taken === this.#pending.length ? [] : this.#pending.slice(taken);
    return group;
  }

  async #send(port: RedisPort, group: readonly PendingCommit[]): Promise<void> {
    this.#inFlight++;
    for (const { call } of group) call.markSent();
    try {
      const results = await this.#apply(port, this.#argsOf(group), group[0] as PendingCommit);
      for (let i = 0; i < group.length; i++)
        this.#settle(group[i] as PendingCommit, results[2 * i], results[2 * i + 1]);
    } catch (error) {
      for (const { call, reject } of group)
        reject(isStrataError(error) ? forCall(error, call) : commitFailure(error, call));
    }
    this.#inFlight--;
    this.#flush();
  }

  #argsOf(group: readonly PendingCommit[]): RedisWord[] {
    const { env, layout, options } = this.#engine;
    const { logBytes, commitIds, tombstoneBytes, tombstoneMs } = options;
    const args: RedisWord[] = [
      String(env.now()),
      // The log and the one before it together stay within the bound.
      String(logBytes / 2),
      String(commitIds),
      String(tombstoneBytes),
      String(tombstoneMs),
      layout.channel,
      String(group.length),
      '',
    ];
    for (const { writes } of group) for (const { key } of writes) args.push(key);
    args[7] = String(args.length - 8);
    for (const commit of group) args.push(commit.header, ...commit.args);
    return args;
  }

  /** Runs the script until the store is the one that it was made for. */
  async #apply(
    port: RedisPort,
    args: readonly RedisWord[],
    first: PendingCommit,
  ): Promise<unknown[]> {
    const { operation } = first.call;
    const { keys } = this.#engine.layout;
    for (let tries = 0; ; tries++) {
      const reply = (await runScript(port, SCRIPTS.commit, keys, args)) as unknown[];
      const [status, epoch, rev, results] = reply;
      if (status === REPLY.damaged) throw damaged(operation);
      if (status === REPLY.done) {
        // Another client opened the store in a new epoch: learn its history before anybody asks.
        // Where that fails the connection is gone, and the next one begins with it.
        if (String(epoch) !== this.#engine.epoch)
          await this.#engine.reopen(port).catch(() => undefined);
        this.#onCommitted(rev as number);
        return results as unknown[];
      }
      if (tries === REOPENINGS) throw restless(operation);
      await this.#engine.reopen(port);
    }
  }

  #settle(commit: PendingCommit, number: unknown, said: unknown): void {
    const [flags, ...repeated] = (Array.isArray(said) ? said : [said]) as Buffer[];
    const text = (flags as Buffer).toString('latin1');
    if (text.startsWith('X')) {
      commit.reject(conflict(commit, number as number, text));
      return;
    }
    const rev = number as number;
    try {
      const outcomes = commit.writes.map((write, i): WriteOutcome => {
        const flag = text[i + 1];
        if (flag === '=') {
          const { value: _, ...entry } = entryOf(write.key, repeated.shift(), repeated.shift());
          return { existed: true, entry };
        }
        const head = commit.heads[i];
        const existed = flag === '1';
        return head === undefined ? { existed } : { existed, entry: { ...head, rev } };
      });
      commit.resolve(text.startsWith('C') ? { rev, outcomes } : { outcomes });
    } catch (error) {
      commit.reject(error);
    }
  }
}

/** The error of a commit that was refused. */
function conflict({ call, writes }: PendingCommit, index: number, said: string): StrataError {
  const { operation } = call;
  const write = writes[index] as Write<Uint8Array>;
  const { key } = write;
  const version = said.slice(2) === '' ? undefined : said.slice(2);
  const name = JSON.stringify(key);
  const found = version === undefined ? 'does not exist' : `has the version ${version}`;
  const wanted = typeof write.if === 'object' ? write.if.version : 'it absent';
  const why =
    said[1] === 'i'
      ? `${name} is immutable and holds another value`
      : said[1] === 'a'
        ? `${name} exists, and the write wants it absent`
        : `${name} ${found}, and the write wants ${wanted}`;
  return new StrataError('conflict', `${operation}: ${why}`, {
    operation,
    key,
    details: { version },
  });
}
