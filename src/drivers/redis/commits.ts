import type { Call } from '../../store/call.ts';
import { isStrataError, StrataError } from '../../store/errors.ts';
import type { CommitOutcome, Write, WriteOutcome } from '../../store/primitives.ts';
import { CommitEncoder, type EncodedCommit } from './commit-encoder.ts';
import { REOPENINGS, type RedisEngine } from './engine.ts';
import { closedStore, commitFailure, damaged, forCall, restless } from './failures.ts';
import { REPLY } from './lua/prelude.ts';
import type { RedisPort, RedisWord } from './port.ts';
import { entryOf, nameOf } from './records.ts';
import { runScript, SCRIPTS } from './script.ts';

/** A group ends at so many writes or bytes; one commit alone may be larger. */
const GROUP_WRITES = 128;
const GROUP_BYTES = 256 * 1024;
/** Groups under way at once: while Redis works on one, the next is sent. */
const GROUPS_IN_FLIGHT = 2;
const FEW = 1_024;

interface PendingCommit {
  readonly call: Call;
  readonly writes: readonly Write<Uint8Array>[];
  readonly encoded: EncodedCommit;
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
  readonly #encoder: CommitEncoder;
  #pending: PendingCommit[] = [];
  #purgeAt = FEW;
  #inFlight = 0;
  #scheduled = false;
  #connecting = false;
  #closed = false;
  #idle: (() => void)[] = [];

  /** `onCommitted` hears of every revision made here. */
  constructor(engine: RedisEngine, onCommitted: (rev: number) => void) {
    this.#engine = engine;
    this.#onCommitted = onCommitted;
    this.#encoder = new CommitEncoder(engine.env, engine.ids);
  }

  commit(writes: readonly Write<Uint8Array>[], call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    if (this.#closed) throw closedStore(call.operation);
    const encoded = this.#encoder.encode(writes, call.operation);
    return new Promise((resolve, reject) => {
      this.#pending.push({ call, writes, encoded, resolve, reject });
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
      bytes += commit.encoded.bytes;
    }
    this.#pending = taken === this.#pending.length ? [] : this.#pending.slice(taken);
    return group;
  }

  async #send(port: RedisPort, group: readonly PendingCommit[]): Promise<void> {
    this.#inFlight++;
    for (const { call } of group) call.markSent();
    try {
      this.#settle(group, await this.#apply(port, this.#argsOf(group), group[0] as PendingCommit));
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
    for (const { writes } of group) for (const { key } of writes) args.push(nameOf(key));
    args[7] = String(args.length - 8);
    for (const { encoded } of group) {
      args.push(encoded.header);
      // Not spread: a batch may have more arguments than a call can take.
      for (const word of encoded.args) args.push(word);
    }
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
    this.#engine.checkRights(operation);
    for (let tries = 0; ; tries++) {
      const reply = (await runScript(port, SCRIPTS.commit, keys, args)) as unknown[];
      const [status, epoch, before, rev] = reply;
      if (status === REPLY.damaged) throw damaged(operation);
      if (status === REPLY.done) {
        // Another client opened the store in a new epoch: learn its history before anybody asks.
        // Where that fails the connection is gone, and the next one begins with it.
        if (String(epoch) !== this.#engine.epoch)
          await this.#engine.reopen(port).catch(() => undefined);
        if (rev !== before) this.#onCommitted(rev as number);
        return reply;
      }
      if (tries === REOPENINGS) throw restless(operation);
      await this.#engine.reopen(port);
    }
  }

  /** Tells every commit of a group what became of it. */
  #settle(group: readonly PendingCommit[], reply: readonly unknown[]): void {
    const [, , before, , results, again] = reply;
    const lines = String(results).split('\n');
    const repeated = again as unknown[];
    let rev = before as number;
    let at = 0;
    for (let i = 0; i < group.length; i++) {
      const commit = group[i] as PendingCommit;
      const line = lines[i] as string;
      if (line.startsWith('X')) {
        commit.reject(conflict(commit, line));
        continue;
      }
      const made = line.startsWith('C');
      const outcomes: WriteOutcome[] = [];
      for (let w = 0; w < commit.writes.length; w++) {
        const head = commit.encoded.heads[w];
        const existed = line[w + 1] !== '0';
        if (line[w + 1] === '=') {
          const { key } = commit.writes[w] as Write<Uint8Array>;
          const { value: _, ...entry } = entryOf(key, repeated[at], repeated[at + 1]);
          outcomes.push({ existed, entry });
          at += 2;
        } else if (head === undefined) outcomes.push({ existed });
        else {
          head.rev = rev + 1;
          outcomes.push({ existed, entry: head });
        }
      }
      if (made) rev++;
      commit.resolve(made ? { rev, outcomes } : { outcomes });
    }
  }
}

/** The error of a commit that was refused. */
function conflict({ call, writes }: PendingCommit, line: string): StrataError {
  const { operation } = call;
  const colon = line.indexOf(':');
  const write = writes[Number(line.slice(2, colon))] as Write<Uint8Array>;
  const { key } = write;
  const version = line.slice(colon + 1) || undefined;
  const name = JSON.stringify(key);
  const found = version === undefined ? 'does not exist' : `has the version ${version}`;
  const wanted = typeof write.if === 'object' ? write.if.version : '';
  const why = {
    i: `${name} is immutable and holds another value`,
    a: `${name} exists, and the write wants it absent`,
    v: `${name} ${found}, and the write wants ${wanted}`,
  }[line[1] as 'i' | 'a' | 'v'];
  return new StrataError('conflict', `${operation}: ${why}`, {
    operation,
    key,
    details: { version },
  });
}
