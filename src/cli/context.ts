import { StrataError } from '../store/errors.ts';
import type { Store } from '../store/store.ts';
import type { COMMON_FLAGS } from './common-flags.ts';
import type { FlagValues } from './flags.ts';
import { Interrupt } from './interrupt.ts';
import { type OpenedStore, type OpenStoreOptions, openStore } from './stores/open-store.ts';
import { Output } from './terminal/output.ts';
import { oneLine } from './terminal/printable.ts';
import { Progress } from './terminal/progress.ts';
import { type Style, styleFor } from './terminal/style.ts';

/** How a command opens a store. */
export type OpenOptions = Pick<OpenStoreOptions, 'access' | 'prefix' | 'withoutCopy'>;

/** What a command works with: the terminal, the wish to stop, and the stores it opened. */
export class Context {
  readonly out: Output = new Output(process.stdout, 'standard output');
  readonly err: Output = new Output(process.stderr, 'standard error');
  readonly environment: NodeJS.ProcessEnv = process.env;
  readonly style: Style = styleFor(this.out.isTerminal, this.environment);
  readonly errStyle: Style = styleFor(this.err.isTerminal, this.environment);
  readonly interrupt: Interrupt = new Interrupt();
  /** The common flags, once they are known. */
  flags: FlagValues<typeof COMMON_FLAGS>;
  readonly #closers: (() => Promise<void>)[] = [];

  constructor(flags: FlagValues<typeof COMMON_FLAGS>) {
    this.flags = flags;
    this.out.whenGone(() => this.interrupt.stop());
  }

  get json(): boolean {
    return this.flags.json === true;
  }

  /** Ends what is under way when the user wants to stop. */
  get signal(): AbortSignal {
    return this.interrupt.signal;
  }

  /** Fails with `aborted` once the user wants to stop. */
  throwIfStopped(operation: string): void {
    if (this.signal.aborted)
      throw new StrataError('aborted', `${operation}: stopped`, { operation });
  }

  /** Bounds for each call: the user's timeout and wish to stop. */
  get bounds(): { readonly signal: AbortSignal; readonly timeoutMs?: number } {
    const { timeout } = this.flags;
    return { signal: this.signal, ...(timeout !== undefined && { timeoutMs: timeout }) };
  }

  /** Opens a store named by URL or by the configuration; it is closed when the command ends. */
  async open(name: string, options: OpenOptions = {}): Promise<Store<Uint8Array>> {
    return (await this.openSource(name, options)).store;
  }

  /** As `open`, with the store's own values beside their bytes. */
  async openSource(name: string, options: OpenOptions = {}): Promise<OpenedStore> {
    const { config, local, 'token-file': tokenFile, timeout } = this.flags;
    const opened = await openStore(name, {
      ...options,
      environment: this.environment,
      signal: this.signal,
      ...(config !== undefined && { config }),
      ...(local !== undefined && { local }),
      ...(tokenFile !== undefined && { tokenFile }),
      ...(timeout !== undefined && { timeoutMs: timeout }),
      onTrouble: (error, final) => this.#trouble(error, final),
    });
    this.onClose(() => opened.close());
    return opened;
  }

  /** What ended the work from outside, such as a right that was taken back. */
  failure: Error | undefined;

  #trouble(error: Error, final: boolean): void {
    if (!final) {
      this.note(this.errStyle.dim(`${oneLine(error.message)}; trying again`));
      return;
    }
    this.failure ??= error;
    this.interrupt.stop();
  }

  /** Has something closed when the command ends; last opened, first closed. */
  onClose(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  /** Progress on standard error, where somebody looks. */
  progress(label: string, unit: string): Progress {
    const { err: output, errStyle: style } = this;
    const enabled = output.isTerminal && !this.json && this.flags.quiet !== true;
    return new Progress({ output, style, enabled, label, unit });
  }

  /** A line about what was done, unless silence is wanted. Goes to standard error, as it is no data. */
  note(text: string): void {
    if (!this.json && this.flags.quiet !== true) this.err.say(`${text}\n`);
  }

  async close(): Promise<void> {
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop())
      await close();
  }
}
