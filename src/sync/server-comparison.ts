import type { Answerer } from '../kernel/fingerprints/answerer.ts';
import type { Answer, Ask } from '../kernel/fingerprints/messages.ts';
import { isStrataError } from '../store/errors.ts';
import { compareKeys } from '../store/keys.ts';
import type { Position } from '../store/primitives.ts';
import { decodeRangeMessage, encodeRangeMessage, MAX_WANTED_BYTES } from './range-messages.ts';
import type { SourceSums } from './source-sums.ts';
import { CLOSE, malformed, ProtocolError } from './wire.ts';

/** Beside four times what the store has, so many ranges and keys may be named to one subscriber. */
const NAMED = 16 * 1024;

export interface ServerComparisonInit {
  readonly sums: SourceSums;
  /** A store with fewer entries is sent whole. */
  readonly leastKeys: number;
  /** Sends a step to the subscriber. */
  send(body: Uint8Array): void;
  /** Steps of the subscriber may come from now on. */
  listen(): void;
  /** Compared: these keys differ, everything else was the same at some moment since then. */
  compared(keys: readonly string[], since: Position): void;
  /** The whole state must be sent. */
  gaveUp(): void;
  failed(error: unknown): void;
}

/** The server's side of one comparison: one question at a time, one answer to each. */
export class ServerComparison {
  readonly #init: ServerComparisonInit;
  readonly #answerer: Answerer;
  #since: Position | undefined;
  #answering = false;
  #ended = false;
  #named = 0;
  #wanted: string[] = [];
  #wantedBytes = 0;

  constructor(init: ServerComparisonInit) {
    this.#init = init;
    this.#answerer = init.sums.answerer();
    init.sums.users++;
  }

  /** Reads what is needed, and offers to compare. */
  start(): void {
    const { sums, leastKeys } = this.#init;
    this.#do(async () => {
      this.#since = await sums.refresh();
      if (this.#ended) return;
      if (sums.count < leastKeys) this.#giveUp();
      else {
        this.#init.listen();
        this.#init.send(encodeRangeMessage({ kind: 'offer', seed: sums.seed }));
      }
    });
  }

  /** Takes a step of the subscriber. Errors: `ProtocolError`. */
  take(body: Uint8Array): void {
    const message = decodeRangeMessage(body);
    if (this.#ended || this.#answering)
      throw new ProtocolError(CLOSE.protocol, 'a step of a comparison that may not come now');
    if (message.kind === 'give-up') this.#giveUp();
    else if (message.kind === 'want') this.#want(message.keys, message.last, body.length);
    else if (message.kind === 'ask' && this.#wantedBytes === 0) this.#ask(message.ask);
    else throw new ProtocolError(CLOSE.protocol, 'a step of a comparison out of order');
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#init.sums.users--;
  }

  #ask(ask: Ask): void {
    this.#answering = true;
    this.#do(async () => {
      const answer = await this.#init.sums.answer(this.#answerer, ask).catch(asProtocolError);
      this.#answering = false;
      if (this.#ended) return;
      if (answer !== 'unknown') this.#named += namedIn(answer);
      if (answer === 'unknown' || this.#named > this.#init.sums.count * 4 + NAMED) this.#giveUp();
      else this.#init.send(encodeRangeMessage({ kind: 'answer', answer }));
    });
  }

  #want(keys: readonly string[], last: boolean, bytes: number): void {
    this.#wantedBytes += bytes;
    if (this.#wantedBytes > MAX_WANTED_BYTES)
      throw new ProtocolError(CLOSE.tooBig, 'too many keys are wanted');
    for (const key of keys) {
      const former = this.#wanted.at(-1);
      // So nothing is sent twice.
      if (former !== undefined && compareKeys(former, key) >= 0)
        throw malformed('keys are wanted out of order');
      this.#wanted.push(key);
    }
    if (!last) return;
    this.end();
    this.#init.compared(this.#wanted, this.#since as Position);
  }

  #giveUp(): void {
    this.end();
    this.#init.gaveUp();
  }

  #do(work: () => Promise<void>): void {
    work().catch((error: unknown) => {
      if (this.#ended) return;
      this.end();
      this.#init.failed(error);
    });
  }
}

function namedIn({ parts }: Answer): number {
  return parts.reduce(
    (count, part) => count + 1 + (part.kind === 'list' ? part.keys : part.sums).length,
    0,
  );
}

/** A question that makes no sense is the subscriber's fault. */
function asProtocolError(error: unknown): never {
  throw isStrataError(error, 'corrupt') && error.operation === 'subscribe'
    ? malformed(error.message)
    : error;
}
