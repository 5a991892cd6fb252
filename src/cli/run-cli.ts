import { nearest } from '../kernel/nearest.ts';
import { StrataError } from '../store/errors.ts';
import type { Command } from './command.ts';
import { COMMANDS } from './commands.ts';
import { Context } from './context.ts';
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.ts';
import { parseFlags, usageError } from './flags.ts';
import { commandHelp, generalHelp } from './help.ts';
import { oneLine } from './terminal/printable.ts';
import { version } from './version.ts';

/** Runs `stratakv` with the arguments after its name; resolves with the exit code, which the process should then exit with. */
export async function runCli(argv: readonly string[]): Promise<ExitCode> {
  const end = argv.indexOf('--');
  const json = argv.slice(0, end === -1 ? argv.length : end).includes('--json');
  const context = new Context(json ? { json: true } : {});
  let code: ExitCode;
  try {
    code = await dispatch(context, argv);
    if (context.failure !== undefined) throw context.failure;
  } catch (error) {
    code = await fail(context, context.failure ?? error);
  }
  try {
    await context.close();
    await context.out.flush();
    await context.err.flush();
  } catch (error) {
    if (code === EXIT.ok) code = await fail(context, error);
  }
  return code;
}

async function dispatch(context: Context, argv: readonly string[]): Promise<ExitCode> {
  const [word, ...rest] = argv;
  switch (word) {
    case undefined:
      await context.err.line(generalHelp(COMMANDS, context.errStyle));
      return EXIT.usage;
    case '--version':
    case '-V':
      await context.out.line(version());
      return EXIT.ok;
    case 'help':
      return help(context, rest[0]);
    case '--help':
    case '-h':
      return help(context, undefined);
  }
  const command = findCommand(word);
  const { flags, positionals } = parseFlags(command.name, command.flags, rest);
  if (flags.help === true) return help(context, word);
  context.flags = flags;
  return command.run(context, { flags, args: positionals });
}

async function help(context: Context, word: string | undefined): Promise<ExitCode> {
  const { style } = context;
  await context.out.line(
    word === undefined ? generalHelp(COMMANDS, style) : commandHelp(findCommand(word), style),
  );
  return EXIT.ok;
}

function findCommand(word: string): Command {
  const found = COMMANDS.find(({ name }) => name === word);
  if (found !== undefined) return found;
  const near = nearest(
    word,
    COMMANDS.map(({ name }) => name),
  );
  const hint = near === undefined ? 'see stratakv --help' : `did you mean ${near}?`;
  throw usageError('stratakv', `unknown command ${JSON.stringify(word)}; ${hint}`);
}

/** Says what went wrong, on one line; as an object with `--json`. */
async function fail(context: Context, error: unknown): Promise<ExitCode> {
  // The reader of the output has what it wanted.
  if (context.out.gone) return EXIT.ok;
  const known = error instanceof StrataError;
  const code = known ? error.code : 'internal';
  const message = error instanceof Error ? error.message : String(error);
  if (context.json) {
    const { operation, key, retryable, details } = known ? error : ({} as Partial<StrataError>);
    await context.err.line(
      JSON.stringify({ error: { code, message, operation, key, retryable, details } }),
    );
  } else {
    const { red } = context.errStyle;
    await context.err.line(`stratakv: ${red(code)}: ${oneLine(message)}`);
    if (!known && context.environment.STRATAKV_DEBUG !== undefined && error instanceof Error)
      await context.err.line(error.stack ?? '');
  }
  return exitCodeOf(error);
}
