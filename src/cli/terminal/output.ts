import type { Writable } from 'node:stream';
import { fromSystemError, systemCode } from '../system-errors.ts';

/** A stream of the process, written with backpressure: a write waits until the reader keeps up. */
export class Output {
  readonly isTerminal: boolean;
  readonly columns: () => number;
  readonly #stream: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly #name: string;
  #failure: unknown;
  #onGone: (() => void) | undefined;

  constructor(stream: NodeJS.WriteStream | Writable, name: string) {
    this.#stream = stream;
    this.#name = name;
    this.isTerminal = this.#stream.isTTY === true;
    this.columns = () => this.#stream.columns || 80;
    this.#stream.on('error', (error) => {
      this.#failure ??= error;
      if (systemCode(error) === 'EPIPE') this.#onGone?.();
    });
  }

  /** Calls back when the reader went away, as `head` does when it has enough. */
  whenGone(fn: () => void): void {
    this.#onGone = fn;
  }

  /** Whether the reader went away: nothing more need be written, and nothing is wrong. */
  get gone(): boolean {
    return systemCode(this.#failure) === 'EPIPE';
  }

  /** Resolves when the stream takes more. */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.gone || chunk.length === 0) return;
    this.#throwFailure();
    const roomy = this.#stream.write(chunk);
    if (!roomy) await this.flush();
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** Writes now; for short messages that nobody waits for. */
  say(text: string): void {
    if (!this.gone) this.#stream.write(text);
  }

  /** Resolves when everything so far has reached the operating system. */
  async flush(): Promise<void> {
    await new Promise<void>((resolve) => this.#stream.write('', () => resolve()));
    if (!this.gone) this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw fromSystemError(this.#failure, 'write', this.#name);
  }
}
