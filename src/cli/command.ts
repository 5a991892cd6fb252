import { COMMON_FLAGS } from './common-flags.ts';
import type { Context } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import { type FlagTable, type FlagValues, usageError } from './flags.ts';

type Common = typeof COMMON_FLAGS;

/** A command's arguments, already checked and counted. */
export interface CommandInput<F extends FlagTable = FlagTable> {
  readonly flags: FlagValues<F & Common>;
  readonly args: readonly string[];
}

interface CommandParts<F extends FlagTable> {
  readonly name: string;
  /** One line for the table of commands. */
  readonly summary: string;
  /** Names of the arguments, in order; `NAME?` may be left out, `NAME...` may be repeated. */
  readonly args: readonly string[];
  readonly flags: F;
  /** Further paragraphs of the command's help. */
  readonly details?: string;
  /** Command lines to copy, each with what it does. */
  readonly examples: readonly (readonly [line: string, does: string])[];
  run(context: Context, input: CommandInput<F>): Promise<ExitCode>;
}

/** One command, as the table of commands and help know it. */
export interface Command extends CommandParts<FlagTable> {}

/** Adds the common flags and the check of the number of arguments. */
export function defineCommand<F extends FlagTable>(parts: CommandParts<F>): Command {
  return {
    ...parts,
    flags: { ...parts.flags, ...COMMON_FLAGS },
    run: (context, { flags, args }) => {
      checkCount(parts.name, parts.args, args);
      // The runner parsed the flags by this very table.
      return parts.run(context, { flags: flags as FlagValues<F & Common>, args });
    },
  };
}

function checkCount(command: string, names: readonly string[], args: readonly string[]): void {
  const required = names.filter((name) => !name.endsWith('?'));
  const missing = required[args.length];
  if (missing !== undefined)
    throw usageError(command, `${missing} is missing; expected ${usage(command, names)}`);
  const extra = /\.\.\.\??$/.test(names.at(-1) ?? '') ? undefined : args[names.length];
  if (extra !== undefined)
    throw usageError(
      command,
      `${JSON.stringify(extra)} is one too many; expected ${usage(command, names)}`,
    );
}

/** `stratakv get STORE KEY` */
export function usage(command: string, names: readonly string[]): string {
  const shown = names.map((name) => (name.endsWith('?') ? `[${name.slice(0, -1)}]` : name));
  return ['stratakv', command, ...shown].join(' ');
}
