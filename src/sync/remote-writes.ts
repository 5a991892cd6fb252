import { Call } from '../store/call.ts';
import type { Env } from '../store/env.ts';
import { StrataError } from '../store/errors.ts';
import type { CommitOutcome, Position } from '../store/primitives.ts';
import { randomId } from '../store/version.ts';
import { backoffMs } from './backoff.ts';
import { errorOf } from './client-errors.ts';
import type { Forwarder } from './forwarding.ts';
import type { Attempt } from './incoming-writes.ts';
import { encodeMessage, MAX_WRITES, type MessageOf, TERMS_VERSION } from './protocol.ts';
import { writeFrames } from './write-frames.ts';
import { readOutcomes, type WireWrite } from './writes.ts';

/** Writes asked for and not yet answered, each by a writer of its own; more wait here, in order. */
const MAX_IN_FLIGHT = 64;
/** Between tries of a write whose outcome the server does not know. */
const RETRY = { baseMs: 50, capMs: 2_000 };

type Answer = MessageOf<'result'> | MessageOf<'error'>;
type Terms = Omit<MessageOf<'terms'>, 'type'>;

interface Turn {
  give(): void;
  refuse(error: StrataError): void;
}

/** A connection that stands. */
interface Link {
  readonly sourceId: string;
  send(frame: Uint8Array): void;
  terms: Terms;
}

/** Somebody who writes, one batch after the other: each has the next number. */
interface Writer {
  readonly name: string;
  sequence: number;
}

/** A batch of writes on its way. */
interface Asked {
  /** Another at each try: ids grow. */
  id: number;
  readonly sourceId: string;
  readonly writes: readonly WireWrite[];
  /** `undefined` where the server keeps no results: it may not be asked for again. */
  attempt: Attempt | undefined;
  tries: number;
  answer(answer: Answer): void;
  fail(error: StrataError): void;
  readonly unknown: StrataError;
}

/**
 * Carries writes to the source, and waits until the local copy has them. Where the source keeps
 * results, a write that has got no answer is asked for again, by the next connection: it is applied
 * once, because it keeps its number.
 */
export class RemoteWrites {
  readonly #env: Env;
  readonly #name: string;
  #link: Link | undefined;
  #ended: StrataError | undefined;
  #nextId = 1;
  readonly #asked: Map<number, Asked> = new Map();
  /** Those who wait for a connection and for room, in order. */
  readonly #queue: Set<Turn> = new Set();
  #inFlight = 0;
  /** Writers that have nothing under way; so few are used as are needed. */
  readonly #idle: Writer[] = [];
  #writers = 0;
  /** Those who wait for the copy to come up. */
  #waiting: Set<() => void> = new Set();
  #at: Position | undefined;
  /** What the source last said of its terms. */
  #terms: Terms | undefined;
  readonly #termsListeners: Set<() => void> = new Set();
  /** Errors that the source has answered with. */
  readonly #answers: WeakSet<object> = new WeakSet();

  constructor(env: Env) {
    this.#env = env;
    this.#name = randomId(env);
  }

  /** Whether the server lets anything be written. */
  get mayWrite(): boolean {
    return this.#link?.terms.mayWrite === true;
  }

  /** For writes of others; bounded by so long each. */
  forwarder(timeoutMs: number): Forwarder {
    return {
      terms: () => this.#terms,
      onTerms: (fn) => {
        this.#termsListeners.add(fn);
        return () => this.#termsListeners.delete(fn);
      },
      forward: (writes, attempt) => {
        const call = new Call(this.#env, 'write', writes[0]?.key, { timeoutMs });
        return call.guard(this.commit(writes, call, attempt));
      },
      isAnswer: (error) => typeof error === 'object' && error !== null && this.#answers.has(error),
    };
  }

  /** A connection stands; a server that tells its terms does so next. */
  greeted({ version, sourceId, mayWrite }: MessageOf<'ready'>, send: Link['send']): void {
    const terms = {
      mayWrite,
      writeBytes: Number.POSITIVE_INFINITY,
      keepsResults: false,
      resultsAt: undefined,
    };
    if (version < TERMS_VERSION) this.#opened({ sourceId, send, terms });
    else this.#greeting = { sourceId, send };
  }

  #greeting: Pick<Link, 'sourceId' | 'send'> | undefined;

  /** What writes may do from now on. */
  told({ mayWrite, writeBytes, keepsResults, resultsAt }: Terms): void {
    const terms = { mayWrite, writeBytes, keepsResults, resultsAt };
    this.#terms = terms;
    if (this.#link !== undefined) this.#link.terms = terms;
    else if (this.#greeting !== undefined) this.#opened({ ...this.#greeting, terms });
    for (const fn of this.#termsListeners) fn();
  }

  /** The connection is gone: what was asked may have been done or not. */
  lost(): void {
    this.#link = undefined;
    this.#greeting = undefined;
    for (const asked of [...this.#asked.values()])
      if (asked.attempt === undefined) this.#settle(asked)?.fail(asked.unknown);
  }

  /** The subscription is over. */
  end(error: StrataError): void {
    this.#ended = error;
    this.lost();
    for (const asked of [...this.#asked.values()]) this.#settle(asked)?.fail(asked.unknown);
    for (const { refuse } of this.#queue) refuse(error);
    this.#queue.clear();
    this.#wakeAll();
  }

  answered(answer: Answer): void {
    const asked = this.#asked.get(answer.id);
    if (asked === undefined) return;
    const mayAskAgain = answer.type === 'error' && answer.code === 'unknown-outcome';
    if (mayAskAgain && answer.retryable && asked.attempt !== undefined) this.#askLater(asked);
    else this.#settle(asked)?.answer(answer);
  }

  /** The local copy stands here now; nowhere where it was cleared. */
  reached(at: Position | undefined): void {
    this.#at = at;
    this.#wakeAll();
  }

  /**
   * Resolves when the source has done the writes and the local copy has them. `of` is whose writes
   * they are, when they are passed on for somebody.
   */
  async commit(writes: readonly WireWrite[], call: Call, of?: Attempt): Promise<CommitOutcome> {
    if (writes.length > MAX_WRITES)
      throw new StrataError(
        'invalid-argument',
        `${call.operation}: ${writes.length} writes at once; expected at most ${MAX_WRITES}`,
        { operation: call.operation },
      );
    const link = await this.#turn(call);
    let epoch: string | undefined;
    let answer: Answer;
    try {
      if (!link.terms.mayWrite) throw readOnly(call, writes[0]?.key);
      epoch = this.#at?.epoch;
      // Whoever has been told that nothing happened must be right.
      call.throwIfEnded();
      answer = await this.#ask(link, writes, call, of);
    } finally {
      this.#inFlight--;
      this.#giveTurns();
    }
    const isUp = (): boolean => this.#has(answer.rev, epoch);
    if (answer.type === 'error') {
      const error = asked(errorOf(answer), call.operation);
      this.#answers.add(error);
      // Who lost a condition must see at the next try what it lost to.
      if (error.code === 'conflict') await this.#until(isUp, call).catch(() => undefined);
      throw error;
    }
    await this.#until(isUp, call);
    const keys = writes.map((write) => write.key);
    const outcomes = readOutcomes(answer.outcomes, keys).map((outcome, i) => {
      const write = writes[i];
      if (outcome.entry === undefined || write?.type !== 'set' || write.meta === undefined)
        return outcome;
      return { ...outcome, entry: { ...outcome.entry, meta: write.meta } };
    });
    return { ...(answer.rev > 0 && { rev: answer.rev }), outcomes };
  }

  #opened(link: Link): void {
    this.#link = link;
    this.#greeting = undefined;
    // In the order in which they were asked for.
    for (const asked of [...this.#asked.values()]) this.#askAgain(asked);
    this.#giveTurns();
  }

  /** A snapshot of another epoch has whatever there is to have. */
  #has(rev: number, epoch: string | undefined): boolean {
    const at = this.#at;
    return rev === 0 || (at !== undefined && (at.rev >= rev || at.epoch !== (epoch ?? at.epoch)));
  }

  /** Waits for a connection with room, behind those who came before. */
  async #turn(call: Call): Promise<Link> {
    for (;;) {
      if (this.#ended !== undefined) throw asked(this.#ended, call.operation);
      const given = new Promise<void>((give, refuse) => {
        const turn: Turn = { give, refuse: (error) => refuse(asked(error, call.operation)) };
        this.#queue.add(turn);
        call.onEnd((error) => {
          if (this.#queue.delete(turn)) refuse(error);
        });
      });
      this.#giveTurns();
      await given;
      if (this.#link !== undefined) return this.#link;
      // It has gone in the moment between.
      this.#inFlight--;
    }
  }

  #giveTurns(): void {
    for (const turn of this.#queue) {
      if (this.#link === undefined || this.#inFlight >= MAX_IN_FLIGHT) return;
      this.#inFlight++;
      this.#queue.delete(turn);
      turn.give();
    }
  }

  #ask(
    link: Link,
    writes: readonly WireWrite[],
    call: Call,
    of: Attempt | undefined,
  ): Promise<Answer> {
    const id = this.#nextId++;
    const { writeBytes, keepsResults, resultsAt } = link.terms;
    const { frames, bytes } = writeFrames(id, writes);
    if (bytes > writeBytes) throw tooLarge(call, writes[0]?.key, bytes, writeBytes);
    if (of?.again === true && !keepsResults) throw unknownOutcome(call);
    call.markSent();
    const writer = keepsResults && of === undefined ? this.#writer() : undefined;
    const own = writer && {
      writer: writer.name,
      sequence: ++writer.sequence,
      again: false,
      existence: call.operation !== 'set',
      since: resultsAt,
    };
    const attempt = keepsResults ? (of ?? own) : undefined;
    const { sourceId } = link;
    const unknown = unknownOutcome(call);
    let asked: Asked | undefined;
    const answered = new Promise<Answer>((answer, fail) => {
      asked = { id, sourceId, writes, attempt, tries: 0, answer, fail, unknown };
      this.#asked.set(id, asked);
    });
    send(link, attempt, frames);
    return call
      .untilEnd(answered, () => void (asked && this.#settle(asked)))
      .finally(() => {
        if (writer !== undefined) this.#idle.push(writer);
      });
  }

  #writer(): Writer {
    return this.#idle.pop() ?? { name: `${this.#name}.${this.#writers++}`, sequence: 0 };
  }

  /** Takes it off the list; `undefined` when it has gone from there. */
  #settle(asked: Asked): Asked | undefined {
    return this.#asked.delete(asked.id) ? asked : undefined;
  }

  #askAgain(again: Asked): void {
    const link = this.#link;
    const { sourceId, writes, attempt } = again;
    if (link === undefined || this.#asked.get(again.id) !== again) return;
    if (attempt === undefined || !link.terms.keepsResults || sourceId !== link.sourceId) {
      this.#settle(again)?.fail(again.unknown);
      return;
    }
    this.#settle(again);
    again.id = this.#nextId++;
    again.attempt = { ...attempt, again: true };
    this.#asked.set(again.id, again);
    send(link, again.attempt, writeFrames(again.id, writes).frames);
  }

  #askLater(later: Asked): void {
    const link = this.#link;
    const delayMs = backoffMs(this.#env, later.tries++, RETRY);
    this.#env.setTimer(() => {
      // Another connection has asked already.
      if (this.#link === link) this.#askAgain(later);
    }, delayMs);
  }

  /** Waits for the copy after an answer: if that ends early, the write may well stand. */
  async #until(done: () => boolean, call: Call): Promise<void> {
    for (;;) {
      if (this.#ended !== undefined) throw unknownOutcome(call);
      call.throwIfEnded();
      if (done()) return;
      let wake: (() => void) | undefined;
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
        this.#waiting.add(resolve);
      });
      await call.untilEnd(woken, () => void (wake && this.#waiting.delete(wake)));
    }
  }

  #wakeAll(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }
}

function send(link: Link, attempt: Attempt | undefined, frames: readonly Uint8Array[]): void {
  if (attempt !== undefined) link.send(encodeMessage({ type: 'attempt', ...attempt }));
  for (const frame of frames) link.send(frame);
}

function readOnly({ operation }: Call, key: string | undefined): StrataError {
  return new StrataError('denied', `${operation}: this subscription may only read`, {
    operation,
    key,
  });
}

function unknownOutcome({ operation, key }: Call): StrataError {
  return new StrataError(
    'unknown-outcome',
    `${operation}: the connection ended, and the write may have been applied`,
    { operation, key },
  );
}

/** An error under the name of the operation that the caller used. */
function asked(error: StrataError, operation: string): StrataError {
  const { code, message, retryable, key } = error;
  const text = message.replace(/^[a-z]+: /, `${operation}: `);
  return new StrataError(code, text, { operation, key, retryable, cause: error.cause });
}

function tooLarge(
  { operation }: Call,
  key: string | undefined,
  bytes: number,
  most: number,
): StrataError {
  return new StrataError(
    'invalid-argument',
    `${operation}: the write has ${bytes} bytes; the server takes at most ${most}`,
    { operation, key },
  );
}
