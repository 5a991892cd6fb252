import { Asker, type Comparison } from '../kernel/fingerprints/asker.ts';
import { Fingerprinter } from '../kernel/fingerprints/fingerprint.ts';
import { Call } from '../store/call.ts';
import type { Env } from '../store/env.ts';
import { isCopy } from './apply-group.ts';
import type { ClientConnection } from './client-connection.ts';
import type { CursorRecord } from './cursor-record.ts';
import { encodeMessage } from './protocol.ts';
import { decodeRangeMessage, encodeRangeMessage, encodeWanted } from './range-messages.ts';
import type { AnySide } from './sides.ts';
import { rangeOf, readRange, stampOf } from './stamps.ts';
import { asSubscribeError } from './subscribe-errors.ts';
import { CLOSE, ProtocolError } from './wire.ts';

/** The longest that one scan may take. */
const READ_TIMEOUT_MS = 60_000;
const WHOLE = { lower: '', upper: undefined };

/** The subscriber's side of comparisons: finds in which keys the copy differs, and asks for them. */
export class LocalComparison {
  readonly #local: AnySide;
  readonly #prefix: string;
  readonly #env: Env;
  #record: CursorRecord | undefined;
  #connection: ClientConnection | undefined;
  #call: Call;
  #asker: Asker | undefined;
  #busy = false;
  /** The last comparison went wrong: the next one is left for a snapshot. */
  #wentWrong = false;

  constructor(local: AnySide, prefix: string, env: Env) {
    this.#local = local;
    this.#prefix = prefix;
    this.#env = env;
    this.#call = Call.background(env, 'subscribe');
  }

  /** A connection begins; `record` says which entries are copies. */
  begin(record: CursorRecord | undefined, connection: ClientConnection): void {
    this.#record = record;
    this.#connection = connection;
    this.#call = Call.background(this.#env, 'subscribe');
    this.#asker = undefined;
    this.#busy = false;
  }

  /** The connection is over. */
  end(): void {
    this.#call.end('closed');
  }

  /** Takes a step of the server. */
  take(body: Uint8Array): void {
    const call = this.#call;
    this.#step(body, call).catch((error: unknown) => {
      if (call.ended !== undefined) return;
      this.#wentWrong = true;
      this.#connection?.step({ type: 'leave', error: asSubscribeError(error) });
    });
  }

  async #step(body: Uint8Array, call: Call): Promise<void> {
    const message = decodeRangeMessage(body);
    if (message.kind === 'offer' && this.#asker === undefined)
      this.#asker = new Asker(new Fingerprinter(message.seed), WHOLE);
    else if (message.kind === 'answer' && this.#asker !== undefined && !this.#busy) {
      this.#busy = true;
      for (const comparison of this.#asker.take(message.answer))
        await this.#compare(comparison, call);
      this.#busy = false;
    } else throw new ProtocolError(CLOSE.protocol, 'a step of a comparison out of order');
    this.#goOn(this.#asker);
  }

  /** Reads the copies in a span. */
  async #compare({ span, add, end }: Comparison, call: Call): Promise<void> {
    const record = { origins: this.#record?.origins ?? [] };
    const timed = new Call(this.#env, 'subscribe', undefined, {
      timeoutMs: READ_TIMEOUT_MS,
      fresh: true,
    });
    const release = call.onEnd(() => timed.end('closed'));
    const range = rangeOf(span, this.#prefix);
    const done = readRange(this.#local.primitives, range, timed, (entry) => {
      if (isCopy(entry, record) && entry.origin !== undefined)
        add(entry.key, stampOf(entry.origin));
    });
    await timed.guard(done).finally(release);
    end();
  }

  #goOn(asker: Asker): void {
    const next = asker.next();
    if (this.#wentWrong || next.do === 'give-up') {
      this.#wentWrong = false;
      this.#send(encodeRangeMessage({ kind: 'give-up' }));
    } else if (next.do === 'ask') this.#send(encodeRangeMessage({ kind: 'ask', ask: next.ask }));
    else {
      this.#connection?.step({ type: 'compared' });
      for (const body of encodeWanted(next.wanted)) this.#send(body);
    }
  }

  #send(body: Uint8Array): void {
    this.#connection?.send(encodeMessage({ type: 'range', body }));
  }
}
