/** The commands that go over the wire around commands, and what their answers mean. Pure. */
import type { RedisWord } from '../../../drivers/redis/port.ts';
import { failure } from '../../../store/errors.ts';
import { nameOf } from './command-table.ts';
import { type Planned, together } from './plan.ts';
import type { CommandScripts } from './scripts.ts';

/** How the scripts are called, for the keys of one server or of one slot. */
export interface ScriptNames {
  /** The first keys of the scripts: what begins the archive's own keys, or those of the slot. */
  readonly own: readonly RedisWord[];
  /** The key that changes when a key is evicted or comes back. */
  readonly watched: RedisWord;
  /** Whether a slot is to be asked whether it takes marks; and may be elsewhere. */
  readonly inCluster: boolean;
  readonly scripts: CommandScripts;
  /** Their digests. */
  readonly guard: string;
  readonly marks: string;
}

/** What became of commands that went over the wire together. */
export type Outcome =
  /** They ran: their replies, errors among them. */
  | { readonly kind: 'done'; readonly replies: readonly unknown[] }
  /** They did not: these keys are evicted. */
  | { readonly kind: 'away'; readonly keys: readonly Buffer[] }
  /** They did not, by chance, or since the server had lost the scripts. */
  | { readonly kind: 'again' }
  /** They did not: the slot, which had this clock, is to be listed before. */
  | { readonly kind: 'unlisted'; readonly clock: string }
  /** They did not: the node has not the slot, or not now. */
  | { readonly kind: 'elsewhere'; readonly said: Error }
  /** They did not, since the server refused these of them; `exec` is what it said in the end. */
  | {
      readonly kind: 'refused';
      readonly errors: readonly (Error | undefined)[];
      readonly exec: Error;
    };

/** One command on the wire, and what it is for. */
export interface Sent {
  readonly words: readonly RedisWord[];
  readonly role: 'command' | 'guard' | 'exec' | 'other';
  /** Whether its answer is a reply of the caller's, or has them in it; default that of `exec`. */
  readonly carries?: boolean;
}

/**
 * Commands as one transaction. The guard runs before it, and makes it fail where a key is evicted;
 * the number of evicted keys is watched, so that none is evicted between the two. Where nothing is
 * written the guard is inside instead: replies are thrown away.
 */
export class Envelope {
  readonly sent: readonly Sent[];
  readonly #commands: readonly Planned[];
  readonly #needs: readonly Buffer[];
  readonly #guardInside: boolean;
  readonly #inCluster: boolean;
  readonly #before: number;
  readonly #after: number;

  /** `whole` brings the script of the guard along, which the server may have lost. */
  constructor(commands: readonly Planned[], names: ScriptNames, whole: boolean) {
    this.#commands = commands;
    const { needs, writes, replaces, removes, deletes } = together(commands);
    this.#needs = needs;
    this.#guardInside = writes.length + deletes.length === 0;
    this.#inCluster = names.inCluster;
    const guard = needs.length > 0 || (names.inCluster && !this.#guardInside);
    const inside: Sent[] = [];
    const marks = new MarksCalls(names, commands.some(mayForgetScripts));
    if (guard && this.#guardInside) {
      const script = whole ? ['EVAL', names.scripts.guard] : ['EVALSHA', names.guard];
      inside.push(other([...script, ...keysOf(names, needs), '0']));
    }
    if (removes.length > 0) inside.push(other(marks.call(removes, 'before')));
    this.#before = inside.length;
    for (const { words, deletes: keys } of commands)
      inside.push({
        words: keys.length > 0 ? marks.call(keys, 'del', words[0]) : words,
        role: 'command',
      });
    if (writes.length > 0) {
      const whole = new Set(replaces);
      const others = writes.filter((key) => !whole.has(key));
      const all = [...replaces, ...others];
      inside.push(other(marks.call(all, 'after', String(replaces.length))));
    }
    this.#after = inside.length - this.#before - commands.length;
    const exec: Sent = { words: ['EXEC'], role: 'exec' };
    this.sent = [
      ...(guard && !this.#guardInside ? watchAndGuard(names, needs) : []),
      other(['MULTI']),
      ...inside,
      exec,
    ];
  }

  /** Reads the answers, in the order of `sent`: errors of the server are values here. */
  read(answers: readonly unknown[]): Outcome {
    const exec = answers.at(-1);
    const elsewhere = this.#inCluster ? elsewhereIn(answers) : undefined;
    if (elsewhere !== undefined && !Array.isArray(exec)) return elsewhere;
    const at = this.sent.findIndex(({ role }) => role === 'guard');
    const told = at === -1 ? [] : answers[at];
    if (exec instanceof Error) return this.#refused(answers, exec);
    if (exec === null || exec === undefined) {
      const clock = unlistedAt(told);
      if (clock !== undefined) return { kind: 'unlisted', clock };
      const keys = this.#keysAt(told);
      return keys.length > 0 ? { kind: 'away', keys } : { kind: 'again' };
    }
    const [watched] = answers;
    const failed = [watched, told].some((answer) => answer instanceof Error);
    if (at !== -1 && (failed || this.#keysAt(told).length > 0))
      throw failure(
        'unknown-outcome',
        'exec',
        'the server ran the commands although the guard of evicted keys failed',
        { cause: failed && !(told instanceof Error) ? watched : told },
      );
    return this.#ran(exec as unknown[]);
  }

  #ran(exec: readonly unknown[]): Outcome {
    const replies = exec.slice(this.#before, exec.length - this.#after);
    if (this.#guardInside && this.#needs.length > 0) {
      const [told] = exec;
      if (told instanceof Error) {
        if (told.message.startsWith('NOSCRIPT')) return { kind: 'again' };
        throw told;
      }
      const keys = this.#keysAt(told);
      if (keys.length > 0) return { kind: 'away', keys };
    }
    return { kind: 'done', replies };
  }

  #refused(answers: readonly unknown[], exec: Error): Outcome {
    const errors: (Error | undefined)[] = [];
    for (const [at, { role }] of this.sent.entries()) {
      const answer = answers[at];
      if (role === 'command') errors.push(answer instanceof Error ? answer : undefined);
      // What was wrong with ours is wrong with all.
      else if (role === 'other' && answer instanceof Error)
        return { kind: 'refused', errors: this.#commands.map(() => answer), exec };
    }
    return { kind: 'refused', errors, exec };
  }

  #keysAt(told: unknown): Buffer[] {
    if (!Array.isArray(told)) return [];
    return told.map((place) => this.#needs[Number(place) - 1] as Buffer);
  }
}

/** SCRIPT FLUSH, in a transaction of the caller. */
const mayForgetScripts = ({ words }: Planned): boolean => nameOf(words[0]) === 'SCRIPT';

/** Calls of the script of marks. The first brings it along, so that the others find it; each does where it may be lost in between. */
class MarksCalls {
  readonly #names: ScriptNames;
  readonly #mayBeLost: boolean;
  #called = false;

  constructor(names: ScriptNames, mayBeLost: boolean) {
    this.#names = names;
    this.#mayBeLost = mayBeLost;
  }

  call(
    keys: readonly Buffer[],
    what: string,
    ...more: readonly (RedisWord | undefined)[]
  ): RedisWord[] {
    const isThere = this.#called && !this.#mayBeLost;
    const script = isThere ? ['EVALSHA', this.#names.marks] : ['EVAL', this.#names.scripts.marks];
    this.#called = true;
    return [...script, ...keysOf(this.#names, keys), what, ...(more as RedisWord[])];
  }
}

/** With its source, so that it is there: were it missing, the transaction would run without it. */
function watchAndGuard(names: ScriptNames, needs: readonly Buffer[]): Sent[] {
  return [
    other(['WATCH', names.watched]),
    { words: ['EVAL', names.scripts.guard, ...keysOf(names, needs), '1'], role: 'guard' },
  ];
}

const other = (words: readonly RedisWord[]): Sent => ({ words, role: 'other' });

/** The words by which a script gets the keys that it is about. */
export function keysOf({ own }: ScriptNames, keys: readonly Buffer[]): RedisWord[] {
  return [String(keys.length + own.length), ...own, ...keys];
}

/** What a node says that has not, not yet or no longer what was asked for, and did nothing. */
const ELSEWHERE = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN|READONLY) /;

export function elsewhereIn(answers: readonly unknown[]): Outcome | undefined {
  const said = answers.find((one) => one instanceof Error && ELSEWHERE.test(one.message));
  return said === undefined ? undefined : { kind: 'elsewhere', said: said as Error };
}

/** The clock of a slot that takes no marks, by what a script answered. */
export function unlistedAt(answer: unknown): string | undefined {
  return answer instanceof Error ? /^UNLISTED (\d+)/.exec(answer.message)?.[1] : undefined;
}
