import type { Call } from '../../store/call.ts';
import type { Durability } from '../../store/capabilities.ts';
import type { Env, Timer } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { randomId, WriteIds } from '../../store/version.ts';
import { Connection } from './connection.ts';
import { damaged, restless } from './failures.ts';
import { type Layout, layoutOf } from './layout.ts';
import { REPLY } from './lua/prelude.ts';
import { type Opened, openStore, prepareServer } from './opening.ts';
import type { RedisPort, RedisPorts, RedisWord } from './port.ts';
import { runScript, SCRIPTS, type Script } from './script.ts';

/** Times that a script is run again after the store was found other than it was. */
export const REOPENINGS = 3;
const SWEEP_EVERY_MS = 30_000;
const SWEEP_STEP = 200;

export interface EngineOptions {
  readonly env: Env;
  readonly prefix: string;
  readonly durability: Durability;
  readonly logBytes: number;
  readonly commitIds: number;
  readonly tombstoneMs: number;
  readonly tombstoneBytes: number;
}

/** What all parts of the driver share: the connection, the opened store, and its upkeep. */
export class RedisEngine {
  readonly env: Env;
  readonly ids: WriteIds;
  readonly layout: Layout;
  readonly options: EngineOptions;
  readonly connection: Connection;
  #opened: Opened | undefined;
  #opening: Promise<void> | undefined;
  #sweeper: Timer | undefined;
  #closed = false;

  constructor(ports: () => Promise<RedisPorts>, options: EngineOptions) {
    this.options = options;
    this.env = options.env;
    this.ids = new WriteIds(options.env);
    this.layout = layoutOf(options.prefix);
    this.connection = new Connection(ports, async (port) => {
      await prepareServer(port, {
        durability: options.durability,
        scripts: Object.values(SCRIPTS),
        refuses: (policy) => policy.startsWith('allkeys-'),
      });
      await this.#open(port);
      this.#scheduleSweep();
    });
  }

  /** Refuses a commit that the user's rights would stop in its middle. */
  checkRights(operation: string): void {
    const missing = this.#opened?.missingRight ?? '';
    if (missing !== '')
      throw new StrataError(
        'denied',
        `${operation}: the user of Redis may not run ${missing}, which commits need`,
        { operation },
      );
  }

  /** The epoch at the last opening. */
  get epoch(): string | undefined {
    return this.#opened?.epoch;
  }

  /** Opens the store anew over a living connection; callers of one moment share it. */
  reopen(port: RedisPort): Promise<void> {
    this.#opening ??= this.#open(port).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(port: RedisPort): Promise<void> {
    this.#opened = await openStore(port, this.layout, {
      // A server that lost everything holds the same store, begun anew.
      storeId: this.#opened?.storeId ?? randomId(this.env),
      epoch: randomId(this.env),
    });
  }

  epochOf(rev: number): string {
    const epochs = this.#opened?.epochs ?? [];
    for (let i = epochs.length - 1; i > 0; i--) {
      const one = epochs[i] as Opened['epochs'][number];
      if (one.from <= rev) return one.epoch;
    }
    return epochs[0]?.epoch ?? '';
  }

  /** Runs a script that changes nothing of a caller's, on the store as it is now. */
  async run(script: Script, args: readonly RedisWord[], call: Call): Promise<unknown[]> {
    const { operation } = call;
    for (let tries = 0; ; tries++) {
      call.throwIfEnded();
      try {
        const port = this.connection.port ?? (await this.connection.connect(operation));
        const reply = (await runScript(port, script, this.layout.keys, args)) as unknown[];
        if (reply[0] === REPLY.damaged) throw damaged(operation);
        if (reply[0] !== REPLY.stale) return reply;
        if (tries === REOPENINGS) throw restless(operation);
        await this.reopen(port);
      } catch (error) {
        throw this.connection.failure(error, call);
      }
    }
  }

  #scheduleSweep(): void {
    if (this.#closed) return;
    this.#sweeper ??= this.env.setTimer(
      () => {
        void this.#sweep().finally(() => {
          this.#sweeper = undefined;
          this.#scheduleSweep();
        });
      },
      SWEEP_EVERY_MS * (1 + this.env.random() / 4),
      { background: true },
    );
  }

  /** Removes what has expired, step by step. Every client of the store does it; the first to come finds the work. */
  async #sweep(): Promise<void> {
    const { tombstoneBytes, tombstoneMs } = this.options;
    for (;;) {
      const port = this.connection.port;
      if (port === undefined || this.#closed || this.#opened?.missingRight !== '') return;
      const args = [this.env.now(), tombstoneBytes, tombstoneMs, SWEEP_STEP].map(String);
      let reply: unknown[];
      try {
        reply = (await runScript(port, SCRIPTS.sweep, this.layout.keys, args)) as unknown[];
      } catch {
        // Whatever it is, the next call of a user meets it too, and tells them.
        return;
      }
      const [status, removed, forgotten] = reply;
      if (status !== REPLY.done || (removed !== SWEEP_STEP && forgotten !== SWEEP_STEP)) return;
    }
  }

  close(): void {
    this.#closed = true;
    this.#sweeper?.cancel();
    this.connection.close();
  }
}
