import { CommitTurns } from '../../../kernel/items/commit-turns.ts';
import type { Call } from '../../../store/call.ts';
import { failure, type StrataError } from '../../../store/errors.ts';
import type { CommitOutcome, SetWrite, Write } from '../../../store/primitives.ts';
import { commitFailure } from '../failures.ts';
import type { RedisWord } from '../port.ts';
import { runScript } from '../script.ts';
import { WRITE, WROTE } from './scripts.ts';
import { headOf, noString, type Strings } from './strings.ts';

type ByteWrite = Write<Uint8Array>;

const MAX_PENDING_BYTES: number = 512 * 1024 * 1024;
/** Largest batch: the server takes a million words in a command. */
const MAX_WRITES = 100_000;

/** Writes strings: each batch is one run of a script. */
export class PlainCommits {
  readonly #strings: Strings;
  readonly #turns = new CommitTurns(MAX_PENDING_BYTES);

  constructor(strings: Strings) {
    this.#strings = strings;
  }

  async commit(writes: readonly ByteWrite[], call: Call): Promise<CommitOutcome> {
    check(writes, call);
    // In turn by their keys: a script that is to be sent once more would else let a later commit pass.
    return this.#turns.run(writes, call, (owned) => this.#run(owned, call));
  }

  /** Resolves when no commit is under way. */
  settle(): Promise<void> {
    return this.#turns.settle();
  }

  async #run(writes: readonly ByteWrite[], call: Call): Promise<CommitOutcome> {
    call.throwIfEnded();
    const { port: ready } = this.#strings.connection;
    const port = ready ?? (await this.#connect(call));
    call.throwIfEnded();
    const names = writes.map(({ key }) => this.#strings.nameOf(key));
    call.markSent();
    let reply: unknown[];
    try {
      reply = (await runScript(port, WRITE, names, writes.flatMap(wordsOf))) as unknown[];
    } catch (error) {
      throw commitFailure(error, call);
    }
    const [word, ...rest] = reply;
    if (Number(word) !== WROTE.done) throw refusal(Number(word), rest, writes, call);
    return {
      outcomes: writes.map((write, nth) => ({
        existed: Number(rest[nth]) === 1,
        ...(write.type === 'set' && { entry: headOf(write.key, write.value, write.expiresAt) }),
      })),
    };
  }

  #connect(call: Call): Promise<Awaited<ReturnType<Strings['port']>>> {
    return this.#strings.port(call).catch((error: unknown) => {
      throw this.#strings.failure(error, call);
    });
  }
}

/** Refuses what strings do not hold, and batches that no command carries. */
function check(writes: readonly ByteWrite[], { operation }: Call): void {
  let bytes = 0;
  for (const write of writes) {
    if (write.type === 'delete') continue;
    bytes += write.value.length;
    const extra = extraOf(write);
    if (extra !== undefined)
      throw failure('unsupported', operation, `a plain string of Redis keeps no ${extra}`, {
        key: write.key,
      });
  }
  if (writes.length > MAX_WRITES || (writes.length > 1 && bytes > MAX_PENDING_BYTES))
    throw failure(
      'invalid-argument',
      operation,
      `the batch has ${writes.length} writes and ${bytes} bytes; expected at most ${MAX_WRITES} and ${MAX_PENDING_BYTES}`,
    );
}

function extraOf({ meta, immutable, origin }: SetWrite<Uint8Array>): string | undefined {
  if (meta !== undefined) return 'metadata';
  if (immutable) return 'mark that it is immutable';
  return origin === undefined ? undefined : 'origin';
}

function wordsOf(write: ByteWrite): RedisWord[] {
  const condition = write.if === 'absent' ? 'a' : '';
  if (write.type === 'delete') return ['d', condition, '', ''];
  const { value, expiresAt } = write;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  return ['s', condition, expiresAt === undefined ? '' : String(expiresAt), bytes];
}

function refusal(
  word: number,
  [place, kind]: readonly unknown[],
  writes: readonly ByteWrite[],
  { operation }: Call,
): StrataError {
  const { key } = writes[Number(place) - 1] as ByteWrite;
  if (word === WROTE.alien) return noString(operation, key, String(kind));
  const what = `${JSON.stringify(key)} exists, and the write wants it absent`;
  return failure('conflict', operation, what, { key });
}
