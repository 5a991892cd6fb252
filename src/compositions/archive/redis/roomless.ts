/** Commands for a server that is out of memory, which takes no transactions then. Pure. */
import {
  elsewhereIn,
  keysOf,
  type Outcome,
  type ScriptNames,
  type Sent,
  unlistedAt,
} from './envelope.ts';
import { type Planned, together } from './plan.ts';

/** Whether commands that were refused for want of memory can be run all the same. */
export function isRoomless(
  commands: readonly Planned[],
  errors: readonly (Error | undefined)[],
): boolean {
  if (!errors.some((error) => error?.message.startsWith('OOM '))) return false;
  const { writes, deletes } = together(commands);
  return writes.length === 0 && (deletes.length === 0 || commands.length === 1);
}

/**
 * A command that only reads, or one that only deletes. What reads runs by itself, behind the guard;
 * an empty transaction then tells whether a key was evicted meanwhile.
 */
export class Roomless {
  readonly sent: readonly Sent[];
  readonly #needs: readonly Buffer[];
  readonly #inCluster: boolean;

  constructor(commands: readonly Planned[], names: ScriptNames) {
    const { needs, deletes } = together(commands);
    this.#needs = needs;
    this.#inCluster = names.inCluster;
    const carried = commands.map(
      ({ words }): Sent => ({
        words:
          deletes.length > 0
            ? ['EVAL', names.scripts.marks, ...keysOf(names, deletes), 'del', words[0] as string]
            : words,
        role: 'command',
        carries: true,
      }),
    );
    if (needs.length === 0) this.sent = carried;
    else
      this.sent = [
        { words: ['WATCH', names.watched], role: 'other' },
        { words: ['EVAL', names.scripts.guard, ...keysOf(names, needs), '0'], role: 'guard' },
        ...carried,
        { words: ['MULTI'], role: 'other' },
        { words: ['EXEC'], role: 'exec', carries: false },
      ];
  }

  read(answers: readonly unknown[]): Outcome {
    if (this.#inCluster) {
      const elsewhere = elsewhereIn(answers);
      if (elsewhere !== undefined) return elsewhere;
      const [clock] = answers.map(unlistedAt);
      if (clock !== undefined) return { kind: 'unlisted', clock };
    }
    if (this.#needs.length === 0) return { kind: 'done', replies: answers };
    const [, told] = answers;
    if (!Array.isArray(told)) throw told;
    const keys = told.map((place) => this.#needs[Number(place) - 1] as Buffer);
    if (keys.length > 0) return { kind: 'away', keys };
    // Evicted, or brought back, while it ran.
    if (!Array.isArray(answers.at(-1))) return { kind: 'again' };
    return { kind: 'done', replies: answers.slice(2, -2) };
  }
}
