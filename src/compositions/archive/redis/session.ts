import { isReply } from '../../../drivers/redis/failures.ts';
import { failure } from '../../../store/errors.ts';
import { isBlocking, type Wait, waitOf } from './blocking.ts';
import {
  type CommandInfo,
  type CommandTable,
  type KeyPlace,
  keyPlaces,
  nameOf,
  placesFromReply,
  type Words,
} from './command-table.ts';
import { Guard, type TransactionReply } from './guard.ts';
import type { Decoding } from './link.ts';
import { bare, type Planned, plan, together } from './plan.ts';
import type { GuardedArchive, Routes } from './routes.ts';
import { isLetThrough, refusal } from './rules.ts';
import { Waiting } from './waiting.ts';
import type { Watching } from './watching.ts';

/** What a command is to be, before it runs. */
interface Intent {
  readonly planned: Planned;
  /** The client sends it as it is; its keys are ensured before, and marked after. */
  readonly native: boolean;
  /** What it waits for, where it does. */
  readonly wait?: Wait | undefined;
}

/** How a session is made. */
export interface SessionOptions {
  /** Names of commands, in capitals, that are sent as they are although they are not safe. */
  readonly allowed: ReadonlySet<string>;
  readonly mostWaiting: number;
}

/** Commands of one client, in the order of its calls. */
export class Session {
  readonly #archive: GuardedArchive;
  readonly #routes: Routes;
  readonly #guard: Guard;
  readonly #watching: Watching | undefined;
  readonly #waiting: Waiting;
  readonly #allowed: ReadonlySet<string>;
  /** Calls whose keys are still to be found out, and all that came after them. Never rejects. */
  #tail: Promise<unknown> | undefined;
  /** Commands that are sent as they are, until they are marked. */
  readonly #natives = new Set<Promise<unknown>>();
  #behind = 0;
  readonly #mostWaiting: number;

  /** Without `watching` nothing can be watched. */
  constructor(
    routes: Routes,
    archive: GuardedArchive,
    options: SessionOptions,
    watching?: Watching,
  ) {
    this.#archive = archive;
    this.#routes = routes;
    this.#guard = new Guard(routes, archive, options.mostWaiting);
    this.#watching = watching;
    const { env, bounds } = archive;
    this.#waiting = new Waiting(this.#guard, env, bounds, options.mostWaiting);
    this.#allowed = options.allowed;
    this.#mostWaiting = options.mostWaiting;
  }

  /** Runs a command; `native` sends it as the client does, where the archive has nothing to do with it. */
  command(words: Words, decoding: Decoding, native: () => Promise<unknown>): Promise<unknown> {
    return this.#inOrder(
      () => this.#intent(words),
      (intent) => {
        const { planned, wait } = intent;
        if (intent.native) return this.#noted(this.#around(planned, native));
        if (wait !== undefined) return this.#waiting.run(wait, planned, decoding, native);
        return planned.uses.size === 0 ? native() : this.#guard.run(planned, decoding);
      },
    );
  }

  /** Runs a transaction of the caller, on condition of what it watches. */
  transaction(list: readonly Words[], decoding: Decoding): Promise<TransactionReply> {
    return this.#inOrder(
      async () => {
        const commands = await this.#intents(list);
        // Over another connection, so that what comes later has to wait.
        if (this.#watching?.active)
          return { reply: await this.#onCondition(this.#watching, commands, decoding) };
        return { commands };
      },
      async ({ reply, commands = [] }) => reply ?? this.#guard.transaction(commands, decoding),
    );
  }

  /**
   * Watches keys until the next transaction. Those that are evicted are brought back. What comes
   * later waits: it is to see what is watched.
   */
  watch(words: Words): Promise<unknown> {
    const watching = this.#watching;
    if (watching === undefined)
      return Promise.reject(failure('unsupported', 'WATCH', 'WATCH in a cluster, with an archive'));
    return this.#inOrder(
      async () => {
        const planned = await this.#watched(words);
        await this.#guard.idle();
        if (planned.needs.length > 0) await this.#archive.ensure(planned.needs);
        return { reply: await watching.watch(words) };
      },
      async ({ reply }) => reply,
    );
  }

  unwatch(): Promise<unknown> {
    return this.#inOrder(
      async () => ({ reply: (await this.#watching?.unwatch()) ?? 'OK' }),
      async ({ reply }) => reply,
    );
  }

  /** Ends the connections, when what was asked for until now has been answered. */
  async close(): Promise<void> {
    await this.#tail;
    await this.#guard.idle();
    await Promise.allSettled(this.#natives);
    this.destroy();
  }

  destroy(): void {
    this.#waiting.close();
    this.#guard.close();
    this.#routes.close();
    this.#watching?.close();
  }

  /** Calls `go` in the order of the calls, at once where nothing has to be waited for. */
  #inOrder<A, B>(find: () => A | Promise<A>, go: (found: A) => Promise<B>): Promise<B> {
    if (this.#behind >= this.#mostWaiting)
      return Promise.reject(
        failure('overloaded', 'archivedRedis', `${this.#behind} commands are waiting already`),
      );
    if (this.#tail === undefined) {
      try {
        const found = find();
        if (!(found instanceof Promise)) return go(found);
        return this.#after(found, go);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return this.#after(
      this.#tail.then(() => find()),
      go,
    );
  }

  async #after<A, B>(found: Promise<A>, go: (found: A) => Promise<B>): Promise<B> {
    this.#behind++;
    // In an object, so that waiting for the call to begin is not waiting for its end.
    const begun = found.then((value) => ({ running: go(value) }));
    const tail = begun.then(
      () => undefined,
      () => undefined,
    );
    this.#tail = tail;
    void tail.then(() => {
      this.#behind--;
      if (this.#tail === tail) this.#tail = undefined;
    });
    return (await begun).running;
  }

  #noted(work: Promise<unknown>): Promise<unknown> {
    this.#natives.add(work);
    const done = (): void => void this.#natives.delete(work);
    work.then(done, done);
    return work;
  }

  async #around(planned: Planned, native: () => Promise<unknown>): Promise<unknown> {
    if (planned.needs.length > 0) await this.#archive.ensure(planned.needs);
    const reply = await native();
    if (planned.writes.length > 0)
      await this.#archive.mark(planned.writes).catch((cause: unknown) => {
        // Whatever that said of itself, the command ran: it must not be called again for it.
        const operation = nameOf(planned.words[0]);
        const what = 'the command ran, but its keys are not marked';
        throw failure('unknown-outcome', operation, what, { cause });
      });
    return reply;
  }

  async #onCondition(
    watching: Watching,
    commands: readonly Planned[],
    decoding: Decoding,
  ): Promise<TransactionReply> {
    await this.#guard.idle();
    const port = watching.take();
    const queued = commands.map(() => 'QUEUED');
    if (port === undefined) return { queued, exec: null };
    const { reply, away } = await this.#guard.conditional(port, commands, decoding);
    // The caller tries again, and then they are there.
    if (away.length > 0) await this.#archive.ensure(away);
    return reply;
  }

  #intent(words: Words, within = false): Intent | Promise<Intent> {
    const { table } = this.#routes;
    const info = table?.find(words);
    if (info === undefined) return this.#learned(words, within);
    return this.#intentOf(info, words, within);
  }

  async #learned(words: Words, within: boolean): Promise<Intent> {
    const operation = nameOf(words[0]);
    const known = this.#routes.table;
    let table: CommandTable = known ?? (await this.#routes.learn(operation));
    if (known !== undefined) table = await this.#routes.learn(operation, true);
    const info = table.find(words);
    // The server says what is wrong with it.
    if (info === undefined) return { planned: bare(words), native: false };
    return this.#intentOf(info, words, within);
  }

  /** `within` a transaction nothing waits for data. */
  #intentOf(info: CommandInfo, words: Words, within: boolean): Intent | Promise<Intent> {
    const refused = refusal(info, words, this.#allowed);
    if (refused !== undefined) throw refused;
    const waits = !within && isBlocking(info, words);
    const native = isLetThrough(info, words, this.#allowed) && (waits || !isBlocking(info, words));
    const places = keyPlaces(info, words);
    const made = (found: readonly KeyPlace[]): Intent => ({
      planned: plan(info, words, found, this.#archive.bounds),
      native,
      wait: waits ? waitOf(info, words, found) : undefined,
    });
    if (places === 'ask') return this.#asked(words).then(made);
    return made(places);
  }

  async #asked(words: Words): Promise<readonly KeyPlace[]> {
    try {
      const reply = await this.#routes.send(nameOf(words[0]), [
        'COMMAND',
        'GETKEYSANDFLAGS',
        ...words,
      ]);
      return placesFromReply(reply, words);
    } catch (error) {
      // It has no keys, or is wrong: the server then says so of the command too.
      if (isReply(error) && error.message.startsWith('ERR ')) return [];
      throw error;
    }
  }

  async #intents(list: readonly Words[]): Promise<Planned[]> {
    const intents = await Promise.all(list.map((words) => this.#intent(words, true)));
    const native = intents.findIndex((intent) => intent.native && intent.planned.uses.size > 0);
    if (native === -1) return intents.map(({ planned }) => planned);
    const name = nameOf(list[native]?.[0]);
    throw failure('unsupported', name, `${name} within a transaction, with an archive`);
  }

  async #watched(words: Words): Promise<Omit<Planned, 'words'>> {
    const info = (await this.#routes.learn('watch')).find(words);
    if (info === undefined) return together([]);
    const places = keyPlaces(info, words);
    return together([plan(info, words, places === 'ask' ? [] : places, this.#archive.bounds)]);
  }
}
