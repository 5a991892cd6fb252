import { StrataError, type StrataErrorCode } from '../store/errors.ts';

/** Something wrong in a configuration. */
export interface ConfigFault {
  /** Where: `stores.main.sync[1].type`; empty for the configuration as a whole. */
  readonly path: string;
  /** What is wrong, and what would be right. */
  readonly message: string;
  readonly code: StrataErrorCode;
}

/** So many are named in the text of an error; `details.faults` has all. */
const MAX_NAMED = 5;

/** The path of an entry by its name, or of an item by its number. */
export function within(path: string, name: string | number): string {
  if (typeof name === 'number') return `${path}[${name}]`;
  if (!/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
}

/** A fault on one line. */
export function faultText({ path, message }: ConfigFault): string {
  return path === '' ? message : `${path}: ${message}`;
}

/** The error that tells of all faults; `where` is the configuration. */
export function faultsError(faults: readonly ConfigFault[], where: string): StrataError {
  const named = faults.slice(0, MAX_NAMED).map(faultText).join('; ');
  const more = faults.length > MAX_NAMED ? `; and ${faults.length - MAX_NAMED} more` : '';
  return new StrataError(
    faults[0]?.code ?? 'invalid-argument',
    `open: ${where === '' ? '' : `${where}: `}${named}${more}`,
    { operation: 'open', details: { faults } },
  );
}

/** What a store's own check says, as a fault of the option that it names. */
export function faultOf(error: unknown, path: string): ConfigFault {
  if (!(error instanceof StrataError)) throw error;
  const prefix = `${error.operation}: `;
  const text = error.message.startsWith(prefix)
    ? error.message.slice(prefix.length)
    : error.message;
  const [, option, rest] = /^the option ([A-Za-z][\w.[\]]*) (is .*)$/s.exec(text) ?? [];
  const { code } = error;
  if (option === undefined || rest === undefined) return { path, message: text, code };
  return { path: path === '' ? option : `${path}.${option}`, message: rest, code };
}
