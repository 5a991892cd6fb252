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
  /** Those who wait for a connection, for room, or for the copy to come up. */
  #waiting: Set<() => void> = new Set();
  #at: Position | undefined;

  /** A connection stands. */
  opened(link: Link): void {
    this.#link = link;
    this.#wakeAll();
  }

  /** It is gone: what was asked may have been done or not. */
  lost(): void {
    this.#link = undefined;
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { lost } of asked) lost();
    this.#wakeAll();
  }

  /** The subscription is over. */
  end(error: StrataError): void {
    this.#ended = error;
    this.lost();
  }

  answered(answer: Answer): void {
    const asked = this.#asked.get(answer.id);
    this.#asked.delete(answer.id);
    asked?.answer(answer);
    this.#wakeAll();
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
    const link = await this.#ready(call);
    if (!link.mayWrite)
      throw new StrataError('denied', `${call.operation}: this subscription may only read`, {
        operation: call.operation,
        key: writes[0]?.key,
      });
    const { epoch } = this.#at ?? {};
    call.markSent();
    const answer = await this.#ask(link, writes, call);
    // Also who lost a condition waits: the next try must see what it lost to.
    await this.#until(() => this.#has(answer.rev, epoch), call);
    if (answer.type === 'error') throw asked(errorOf(answer), call.operation);
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

  async #ready(call: Call): Promise<Link> {
    let link: Link | undefined;
    await this.#until(() => {
      link = this.#asked.size < MAX_IN_FLIGHT ? this.#link : undefined;
      return link !== undefined;
    }, call);
    return link as Link;
  }

  #ask(link: Link, writes: readonly WireWrite[], call: Call): Promise<Answer> {
    const id = this.#nextId++;
    const answered = new Promise<Answer>((answer, fail) => {
      this.#asked.set(id, { answer, lost: () => fail(unknownOutcome(call)) });
    });
    for (const frame of writeFrames(id, writes)) link.send(frame);
    return call.untilEnd(answered, () => void this.#asked.delete(id));
  }

  async #until(done: () => boolean, call: Call): Promise<void> {
    for (;;) {
      if (this.#ended !== undefined) throw asked(this.#ended, call.operation);
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

function unknownOutcome({ operation, key }: Call): StrataError {
  return new StrataError(
    'unknown-outcome',
    `${operation}: the connection was lost, and the write may have been applied`,
    { operation, key },
  );
}

/** An error under the name of the operation that the caller used. */
function asked(error: StrataError, operation: string): StrataError {
  const { code, message, retryable, key } = error;
  const text = message.replace(/^[a-z]+: /, `${operation}: `);
  return new StrataError(code, text, { operation, key, retryable, cause: error.cause });
}
