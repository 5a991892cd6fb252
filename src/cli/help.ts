import { STORE_FORMS } from '../config/address.ts';
import { type Command, usage } from './command.ts';
import { COMMON_FLAGS } from './common-flags.ts';
import { EXIT_MEANINGS } from './exit-codes.ts';
import type { Flag } from './flags.ts';
import type { Style } from './terminal/style.ts';

/** The help of `stratakv` itself. */
export function generalHelp(commands: readonly Command[], style: Style): string {
  return [
    'stratakv: read, write, watch, move and serve stores of keys and values',
    '',
    style.bold('Usage'),
    '  stratakv COMMAND STORE [ARGUMENT…] [--flag…]',
    '',
    style.bold('Commands'),
    ...columns(commands.map(({ name, summary }) => [name, summary])),
    '',
    style.bold('Stores'),
    `  ${STORE_FORMS.join('  ')}`,
    '  or a name that strata.config.ts or .json (or --config FILE) gives to a store',
    '',
    style.bold('Flags of every command'),
    ...flagLines(COMMON_FLAGS),
    '',
    style.bold('Exit codes'),
    ...columns(EXIT_MEANINGS.map(([code, meaning]) => [String(code), meaning])),
    '',
    'stratakv COMMAND --help tells more, with examples; stratakv --version gives the version.',
  ].join('\n');
}

/** The help of one command. */
export function commandHelp(command: Command, style: Style): string {
  const own = Object.entries(command.flags).filter(([name]) => !Object.hasOwn(COMMON_FLAGS, name));
  return [
    `${usage(command.name, command.args)} [--flag…]`,
    '',
    `  ${command.summary}`,
    ...(command.details === undefined
      ? []
      : ['', ...command.details.split('\n').map((l) => `  ${l}`)]),
    ...(own.length === 0 ? [] : ['', style.bold('Flags'), ...flagLines(Object.fromEntries(own))]),
    '',
    style.bold('Flags of every command'),
    ...flagLines(COMMON_FLAGS),
    '',
    style.bold('Examples'),
    ...command.examples.flatMap(([line, does]) => [`  ${style.dim(`# ${does}`)}`, `  ${line}`]),
  ].join('\n');
}

function flagLines(flags: Readonly<Record<string, Flag<unknown>>>): string[] {
  return columns(
    Object.entries(flags).map(([name, flag]) => {
      const value = flag.kind === 'value' ? ` ${flag.placeholder}` : '';
      const short = flag.short === undefined ? '' : `-${flag.short}, `;
      return [`${short}--${name}${value}`, flag.help];
    }),
  );
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
