import { isStrataError, StrataError } from '../store/errors.ts';
import { unexpected } from './connection-failure.ts';
import type { AskedWrites } from './incoming-writes.ts';
import type { MessageOf } from './protocol.ts';
import type { PublicationCore } from './publication-core.ts';
import { acceptsKey, type Rights } from './scope.ts';
import { errorMessage } from './server-session.ts';
import { encodeOutcomes, type WireWrite } from './writes.ts';

export interface ConnectionWritesInit {
  readonly core: PublicationCore;
  /** As they are now. */
  rights(): Rights;
  written(answer: MessageOf<'result'> | MessageOf<'error'>): void;
  /** Not even the failure could be told. */
  failed(error: unknown): void;
}

/** Applies what one subscriber writes, one after the other, in the order they came. */
export class ConnectionWrites {
  readonly #init: ConnectionWritesInit;
  #waiting: AskedWrites[] = [];
  #running = false;

  constructor(init: ConnectionWritesInit) {
    this.#init = init;
  }

  push(asked: AskedWrites): void {
    this.#waiting.push(asked);
    if (!this.#running) this.#run().catch((error: unknown) => this.#init.failed(error));
  }

  /** Forgets what waits; what is under way is applied, and nobody told. */
  end(): void {
    this.#waiting = [];
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
      this.#init.written(await this.#apply(next));
    this.#running = false;
  }

  async #apply({
    id,
    writes,
    attempt,
  }: AskedWrites): Promise<MessageOf<'result'> | MessageOf<'error'>> {
    const { core } = this.#init;
    try {
      const refused = this.#refusal(writes);
      const { rev, outcomes } =
        refused === undefined
          ? await core.writes.apply(writes, attempt)
          : await core.writes.refuse(writes, attempt, refused);
      core.appliedWrites += writes.length;
      return { type: 'result', id, rev, outcomes: encodeOutcomes(outcomes) };
    } catch (error) {
      const known = isStrataError(error)
        ? error
        : new StrataError('unknown-outcome', 'write: it failed', {
            operation: 'write',
            retryable: attempt !== undefined,
          });
      if (known !== error) core.onError(unexpected(error));
      // Who lost a condition waits until it has seen what it lost to.
      const { head } = await core.state();
      return errorMessage(id, known, head.rev);
    }
  }

  /** A test that fails refuses as well: only whoever refuses can tell what became of an earlier try. */
  #refusal(writes: readonly WireWrite[]): StrataError | undefined {
    try {
      return this.#forbidden(writes);
    } catch (error) {
      const cause = isStrataError(error) ? error : unexpected(error);
      this.#init.core.onError(cause);
      return new StrataError('unavailable', 'write: nobody can say whether it is allowed', {
        operation: 'write',
        cause,
      });
    }
  }

  #forbidden(writes: readonly WireWrite[]): StrataError | undefined {
    const { core, rights } = this.#init;
    const mayWrite = acceptsKey(rights().write ?? false);
    const forbidden = writes.find(
      ({ key }) => !mayWrite(key) || (core.filter?.(key) ?? true) !== true,
    );
    if (forbidden === undefined) return undefined;
    const { key } = forbidden;
    const message = `write: ${JSON.stringify(key)} may not be written by this connection`;
    return new StrataError('denied', message, { operation: 'write', key });
  }
}
