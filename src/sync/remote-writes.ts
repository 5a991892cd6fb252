import type { Call } from '../store/call.ts';
import { StrataError } from '../store/errors.ts';
import type { CommitOutcome, Position } from '../store/primitives.ts';
import { errorOf } from './client-session.ts';
import { encodeMessage, MAX_PIECE_BYTES, MAX_WRITES, type MessageOf } from './protocol.ts';
import { ByteWriter } from './wire.ts';
import { putWrite, readOutcomes, type WireWrite } from './writes.ts';

/** Writes asked for and not yet answered; more wait here, in order. */
const MAX_IN_FLIGHT = 256;
/** A frame of writes is closed at so many bytes. */
const FRAME_BYTES: number = 128 * 1024;

type Answer = MessageOf<'result'> | MessageOf<'error'>;

interface Turn {
  give(link: Link): void;
  refuse(error: StrataError): void;
}

interface Link {
  send(frame: Uint8Array): void;
  readonly mayWrite: boolean;
}

/** Carries writes to the source, and waits until the local copy has them. */
export class RemoteWrites {
  #link: Link | undefined;
  #ended: StrataError | undefined;
  #nextId = 1;
  readonly #asked: Map<
    number,
    { readonly answer: (answer: Answer) => void; readonly lost: () => void }
  > = new Map();
  /** Those who wait for a connection and for room, in order. */
  readonly #queue: Set<Turn> = new Set();
  #inFlight = 0;
  /** Those who wait for the copy to come up. */
  #waiting: Set<() => void> = new Set();
  #at: Position | undefined;

  /** A connection stands. */
  opened(link: Link): void {
    this.#link = link;
    this.#giveTurns();
  }

  /** It is gone: what was asked may have been done or not. */
  lost(): void {
    this.#link = undefined;
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { lost } of asked) lost();
  }

  /** The subscription is over. */
  end(error: StrataError): void {
    this.#ended = error;
    this.lost();
    for (const { refuse } of this.#queue) refuse(error);
    this.#queue.clear();
    this.#wakeAll();
  }

  answered(answer: Answer): void {
    const asked = this.#asked.get(answer.id);
    this.#asked.delete(answer.id);
    asked?.answer(answer);
  }

  /** The local copy stands here now. */
  reached(at: Position): void {
    this.#at = at;
    this.#wakeAll();
  }

  /** Resolves when the source has done the writes and the local copy has them. */
  async commit(writes: readonly WireWrite[], call: Call): Promise<CommitOutcome> {
    if (writes.length > MAX_WRITES)
      throw new StrataError(
        'invalid-argument',
        `${call.operation}: ${writes.length} writes at once; expected at most ${MAX_WRITES}`,
        { operation: call.operation },
      );
    let link = await this.#turn(call);
    // It may have gone in the moment between.
    while (link !== this.#link) {
      this.#inFlight--;
      link = await this.#turn(call);
    }
    let epoch: string | undefined;
    let answer: Answer;
    try {
      if (!link.mayWrite) throw readOnly(call, writes[0]?.key);
      epoch = this.#at?.epoch;
      // Whoever has been told that nothing happened must be right.
      call.throwIfEnded();
      call.markSent();
      answer = await this.#ask(link, writes, call);
    } finally {
      this.#inFlight--;
      this.#giveTurns();
    }
    const isUp = (): boolean => this.#has(answer.rev, epoch);
    if (answer.type === 'error') {
      const error = asked(errorOf(answer), call.operation);
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

  /** A snapshot of another epoch has whatever there is to have. */
  #has(rev: number, epoch: string | undefined): boolean {
    const at = this.#at;
    return rev === 0 || (at !== undefined && (at.rev >= rev || at.epoch !== (epoch ?? at.epoch)));
  }

  /** Waits for a connection with room, behind those who came before. */
  async #turn(call: Call): Promise<Link> {
    if (this.#ended !== undefined) throw asked(this.#ended, call.operation);
    const given = new Promise<Link>((give, refuse) => {
      const turn: Turn = { give, refuse: (error) => refuse(asked(error, call.operation)) };
      this.#queue.add(turn);
      call.onEnd((error) => {
        if (this.#queue.delete(turn)) refuse(error);
      });
    });
    this.#giveTurns();
    return given;
  }

  #giveTurns(): void {
    for (const turn of this.#queue) {
      if (this.#link === undefined || this.#inFlight >= MAX_IN_FLIGHT) return;
      this.#inFlight++;
      this.#queue.delete(turn);
      turn.give(this.#link);
    }
  }

  #ask(link: Link, writes: readonly WireWrite[], call: Call): Promise<Answer> {
    const id = this.#nextId++;
    const answered = new Promise<Answer>((answer, fail) => {
      this.#asked.set(id, { answer, lost: () => fail(unknownOutcome(call)) });
    });
    for (const frame of writeFrames(id, writes)) link.send(frame);
    return call.untilEnd(answered, () => void this.#asked.delete(id));
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

/** The frames of one batch of writes. */
function* writeFrames(id: number, writes: readonly WireWrite[]): Generator<Uint8Array> {
  const rows = new ByteWriter(1_024);
  const close = (last: boolean): Uint8Array => {
    const frame = encodeMessage({ type: 'write', id, last, writes: rows.view() });
    rows.clear();
    return frame;
  };
  for (const write of writes) {
    const pieced = write.type === 'set' && write.value.length > MAX_PIECE_BYTES;
    if (rows.length > 0 && (pieced || rows.length > FRAME_BYTES)) yield close(false);
    if (pieced) {
      for (let offset = 0; offset < write.value.length; offset += MAX_PIECE_BYTES) {
        const bytes = write.value.subarray(offset, offset + MAX_PIECE_BYTES);
        yield encodeMessage({ type: 'piece', offset, bytes });
      }
    }
    putWrite(rows, write, pieced);
  }
  yield close(true);
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
