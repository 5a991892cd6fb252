import { isReply, replyFailure } from '../../../drivers/redis/failures.ts';
import type { RedisPort } from '../../../drivers/redis/port.ts';
import { failure, isStrataError, type StrataError } from '../../../store/errors.ts';
import { nameOf } from './command-table.ts';
import { Envelope, type Outcome } from './envelope.ts';
import { KeyOrder } from './key-order.ts';
import { type Decoding, sendAll } from './link.ts';
import { type Planned, together } from './plan.ts';
import { isRoomless, Roomless } from './roomless.ts';
import { type GuardedArchive, PATIENCE_MS, type Route, type Routes } from './routes.ts';

/** What a transaction of the caller came to, as the server said it. */
export interface TransactionReply {
  /** What it said to each command: `QUEUED`, or an error. */
  readonly queued: readonly unknown[];
  /** The replies, an error, or `null` where a watched key was changed. */
  readonly exec: readonly unknown[] | Error | null;
}

/** Commands that go together, on their way. */
interface Task {
  readonly commands: readonly Planned[];
  readonly uses: ReadonlyMap<string, boolean>;
  readonly order: number;
  readonly slot: number;
  readonly decoding: Decoding;
  /** A transaction of the caller. */
  readonly whole: boolean;
  /** Since when, in ms of the monotonic clock. */
  readonly sinceMs: number;
  readonly done: (outcome: Outcome) => void;
  readonly fail: (error: unknown) => void;
  /** Goes apart from others, since it was refused together with them. */
  alone: boolean;
  /** Goes without a transaction, of which a server that is out of memory wants none. */
  roomless: boolean;
  tries: number;
  /** Times that a node said that it has not its slot. */
  moves: number;
}

/** Commands in one transaction, at most: it holds up everybody else. */
const MOST_TOGETHER = 128;
/** Times that a command is tried while its keys are evicted again and again. */
const TRIES = 32;
/** Moves that are followed without a wait. */
const MOVES = 5;
/** What clients say of a command that they did not send. */
const UNSENT = /isn't writeable|client is (offline|closed)/;

/**
 * Runs commands on keys that are archived: none runs while one of its keys is evicted, and every
 * write is marked in the step that makes it. Commands on one key run in the order of the calls.
 */
export class Guard {
  readonly #archive: GuardedArchive;
  readonly #routes: Routes;
  readonly #mostWaiting: number;
  readonly #order = new KeyOrder<Task>();
  #calls = 0;
  /** What was asked for and not answered. */
  readonly #underWay = new Set<Promise<unknown>>();
  #flushing = false;
  #closed = false;

  constructor(routes: Routes, archive: GuardedArchive, mostWaiting: number) {
    this.#archive = archive;
    this.#routes = routes;
    this.#mostWaiting = mostWaiting;
  }

  /** Runs one command. Rejects with what the server said, as the client's library puts it. */
  async run(command: Planned, decoding: Decoding): Promise<unknown> {
    const outcome = await this.#queued([command], decoding, false);
    if (outcome.kind !== 'done') throw notDone(outcome);
    const [reply] = outcome.replies;
    if (reply instanceof Error) throw reply;
    return reply;
  }

  /** Runs a transaction of the caller. */
  async transaction(commands: readonly Planned[], decoding: Decoding): Promise<TransactionReply> {
    return replyOf(commands, await this.#queued(commands, decoding, true));
  }

  /** Runs a transaction of the caller once, over a connection on which it watches keys. */
  async conditional(
    port: RedisPort,
    commands: readonly Planned[],
    decoding: Decoding,
  ): Promise<{ readonly reply: TransactionReply; readonly away: readonly Buffer[] }> {
    const envelope = new Envelope(commands, this.#routes.names(0), true);
    const operation = nameOf(commands[0]?.words[0]);
    const route = { port, asking: false };
    const answers = await sendAll(route, envelope.sent, decoding).catch((error: unknown) => {
      throw unknownOutcome(operation, error);
    });
    const outcome = envelope.read(answers);
    const away = outcome.kind === 'away' ? outcome.keys : [];
    return { reply: replyOf(commands, outcome), away };
  }

  /** Resolves when everything that was asked for until now has been answered. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#underWay]);
  }

  /** Lets nothing wait any more for a connection. */
  close(): void {
    this.#closed = true;
  }

  #queued(commands: readonly Planned[], decoding: Decoding, whole: boolean): Promise<Outcome> {
    const operation = nameOf(commands[0]?.words[0]);
    if (this.#underWay.size >= this.#mostWaiting)
      return Promise.reject(
        failure('overloaded', operation, `${this.#mostWaiting} commands are under way already`),
      );
    const { uses } = together(commands);
    const slot = this.#routes.slotOf(operation, uses.keys());
    const outcome = new Promise<Outcome>((done, fail) => {
      this.#order.add({
        commands,
        uses,
        order: this.#calls++,
        slot,
        decoding,
        whole,
        sinceMs: this.#archive.env.monotonicMs(),
        done,
        fail,
        alone: false,
        roomless: false,
        tries: 0,
        moves: 0,
      });
    });
    const ended = (): void => void this.#underWay.delete(outcome);
    this.#underWay.add(outcome);
    outcome.then(ended, ended);
    this.#flushSoon();
    return outcome;
  }

  /** Once for all calls of this moment. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      const fits = (part: readonly Task[], task: Task): boolean =>
        part.length < MOST_TOGETHER && goTogether(part[0] as Task, task);
      for (const part of this.#order.take(fits)) void this.#run(part);
    });
  }

  async #run(tasks: readonly Task[]): Promise<void> {
    const [first] = tasks as [Task];
    let route = this.#routes.route(first.slot);
    try {
      route ??= await this.#routes.connect(operationOf(first), first.slot);
    } catch (error) {
      const isPassing = isStrataError(error) && error.retryable;
      this.#later(
        tasks,
        () => isPassing,
        () => error,
        () => this.#routes.pause(),
      );
      return;
    }
    await this.#sent(tasks, route);
    this.#flushSoon();
  }

  async #sent(tasks: readonly Task[], route: Route): Promise<void> {
    const commands = tasks.flatMap((task) => task.commands);
    const [first] = tasks as [Task];
    try {
      const isAgain = tasks.some(({ tries }) => tries > 0);
      const envelope = first.roomless
        ? new Roomless(commands, route.names)
        : new Envelope(commands, route.names, isAgain);
      const answers = await sendAll(route, envelope.sent, first.decoding);
      this.#settle(tasks, envelope.read(answers));
    } catch (error) {
      this.#lost(tasks, error);
    }
  }

  #settle(tasks: readonly Task[], outcome: Outcome): void {
    if (outcome.kind === 'done') {
      let at = 0;
      for (const task of tasks) {
        const replies = outcome.replies.slice(at, at + task.commands.length);
        at += task.commands.length;
        this.#order.release(task);
        task.done({ kind: 'done', replies });
      }
    } else if (outcome.kind === 'away') this.#bringBack(tasks, outcome.keys);
    else if (outcome.kind === 'again') this.#again(tasks);
    else if (outcome.kind === 'unlisted') this.#list(tasks, outcome.clock);
    else if (outcome.kind === 'elsewhere') this.#follow(tasks, outcome.said);
    else this.#refused(tasks, outcome);
  }

  /** Tasks that need none of these keys go again at once; the others keep their keys until they can. */
  #bringBack(tasks: readonly Task[], keys: readonly Buffer[]): void {
    const away = new Set(keys.map((key) => key.toString('latin1')));
    const others: Task[] = [];
    for (const task of tasks) {
      const { needs } = together(task.commands);
      const missing = needs.filter((key) => away.has(key.toString('latin1')));
      if (missing.length === 0) others.push(task);
      else
        void this.#archive.ensure(missing).then(
          () => {
            this.#again([task]);
            this.#flushSoon();
          },
          (error: unknown) => {
            this.#order.release(task);
            task.fail(error);
            this.#flushSoon();
          },
        );
    }
    this.#order.putBack(others);
  }

  #again(tasks: readonly Task[]): void {
    const back: Task[] = [];
    for (const task of tasks) {
      if (task.tries++ < TRIES) back.push(task);
      else {
        this.#order.release(task);
        task.fail(restless(task));
      }
    }
    this.#order.putBack(back);
  }

  /** What the server refused at once, it refused for all that went together: the others go again. */
  #refused(tasks: readonly Task[], { errors, exec }: Outcome & { kind: 'refused' }): void {
    const back: Task[] = [];
    let at = 0;
    for (const task of tasks) {
      const own = errors.slice(at, at + task.commands.length);
      at += task.commands.length;
      const isOwn = own.some((error) => error !== undefined);
      if (!isOwn && tasks.length > 1) {
        task.alone = true;
        back.push(task);
        continue;
      }
      if (!task.whole && !task.roomless && isRoomless(task.commands, own)) {
        task.alone = true;
        task.roomless = true;
        back.push(task);
        continue;
      }
      this.#order.release(task);
      task.done({ kind: 'refused', errors: own, exec });
    }
    this.#order.putBack(back);
  }

  /** A slot takes marks only when it is listed. */
  #list(tasks: readonly Task[], clock: string): void {
    const [first] = tasks as [Task];
    this.#routes.list(operationOf(first), first.slot, clock).then(
      () => {
        this.#again(tasks);
        this.#flushSoon();
      },
      (error: unknown) => {
        for (const task of tasks) {
          this.#order.release(task);
          task.fail(error);
        }
        this.#flushSoon();
      },
    );
  }

  /** The node has not the slot, and did nothing: it is asked for where it is, or when it has come to rest. */
  #follow(tasks: readonly Task[], said: Error): void {
    const [first] = tasks as [Task];
    const often = first.moves >= MOVES;
    for (const task of tasks) task.moves++;
    const follow = (): Promise<void> => this.#routes.elsewhere(first.slot, said, often);
    this.#later(
      tasks,
      () => true,
      (task) => replyFailure(said, operationOf(task)),
      follow,
    );
  }

  /** The connection ended before the answers: what only reads, or was not sent, is sent again. */
  #lost(tasks: readonly Task[], error: unknown): void {
    const isUnsent = error instanceof Error && UNSENT.test(error.message);
    const isTold = isStrataError(error) || isReply(error);
    const isSafe = (task: Task): boolean => !isTold && (isUnsent || isRead(task));
    const cause = (task: Task): unknown => (isTold ? error : endedFailure(task, error, isUnsent));
    // Not at once: a client may take a moment to notice that its connection has ended.
    this.#later(tasks, isSafe, cause, () => this.#routes.pause());
  }

  /** Those that may go again do, while their time is not up; the others have failed. */
  #later(
    tasks: readonly Task[],
    mayGo: (task: Task) => boolean,
    cause: (task: Task) => unknown,
    until: () => Promise<void>,
  ): void {
    const nowMs = this.#archive.env.monotonicMs();
    const back: Task[] = [];
    for (const task of tasks) {
      if (mayGo(task) && nowMs - task.sinceMs <= PATIENCE_MS && !this.#closed) back.push(task);
      else {
        this.#order.release(task);
        task.fail(cause(task));
      }
    }
    if (back.length < tasks.length) this.#flushSoon();
    if (back.length === 0) return;
    void until().then(() => {
      this.#order.putBack(back);
      this.#flushSoon();
    });
  }
}

function endedFailure(task: Task, cause: unknown, isUnsent: boolean): StrataError {
  const operation = operationOf(task);
  if (!isUnsent) return unknownOutcome(operation, cause);
  return failure('unavailable', operation, 'the connection to Redis ended', { cause });
}

/** What changes nothing, so that it may be sent twice. */
const isRead = ({ whole, uses }: Task): boolean => !whole && ![...uses.values()].includes(true);

const goTogether = (first: Task, task: Task): boolean =>
  !isAlone(first) && !isAlone(task) && first.slot === task.slot && first.decoding === task.decoding;

const isAlone = ({ whole, alone }: Task): boolean => whole || alone;

function replyOf(commands: readonly Planned[], outcome: Outcome): TransactionReply {
  if (outcome.kind === 'done')
    return { queued: commands.map(() => 'QUEUED'), exec: outcome.replies };
  if (outcome.kind === 'refused')
    return { queued: outcome.errors.map((error) => error ?? 'QUEUED'), exec: outcome.exec };
  return { queued: commands.map(() => 'QUEUED'), exec: null };
}

function notDone(outcome: Exclude<Outcome, { kind: 'done' }>): Error {
  if (outcome.kind === 'refused') return outcome.errors[0] ?? outcome.exec;
  return failure('conflict', 'exec', 'the command did not run', { retryable: true });
}

const operationOf = ({ commands }: Task): string => nameOf(commands[0]?.words[0]);

function restless(task: Task): StrataError {
  return failure('conflict', operationOf(task), 'its keys are evicted again and again', {
    retryable: true,
  });
}

function unknownOutcome(operation: string, cause: unknown): StrataError {
  return failure(
    'unknown-outcome',
    operation,
    'the connection to Redis ended before the answer, and the command may have been run',
    { cause },
  );
}
