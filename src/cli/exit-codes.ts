import { StrataError, type StrataErrorCode } from '../store/errors.ts';

/** What the command's exit says, for scripts. Shown by `stratakv --help`. */
export const EXIT: {
  readonly ok: 0;
  readonly notFound: 1;
  readonly usage: 2;
  readonly conflict: 3;
  readonly unavailable: 4;
  readonly denied: 5;
  readonly corrupt: 6;
  readonly noSpace: 7;
  readonly other: 70;
  readonly interrupted: 130;
} = {
  ok: 0,
  notFound: 1,
  usage: 2,
  conflict: 3,
  unavailable: 4,
  denied: 5,
  corrupt: 6,
  noSpace: 7,
  other: 70,
  interrupted: 130,
};

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The meaning of every exit code, as help prints it. */
export const EXIT_MEANINGS: readonly (readonly [ExitCode, string])[] = [
  [EXIT.ok, 'done'],
  [EXIT.notFound, 'the key is not there'],
  [EXIT.usage, 'the command or an argument is wrong'],
  [EXIT.conflict, 'a condition on a write failed'],
  [EXIT.unavailable, 'the store or server did not answer, or in time'],
  [EXIT.denied, 'not allowed'],
  [EXIT.corrupt, 'the store or an entry is damaged'],
  [EXIT.noSpace, 'the disk or a quota is full'],
  [EXIT.other, 'anything else that failed'],
  [EXIT.interrupted, 'stopped by a signal'],
];

const BY_CODE: Readonly<Record<StrataErrorCode, ExitCode>> = {
  'invalid-argument': EXIT.usage,
  unsupported: EXIT.usage,
  closed: EXIT.other,
  conflict: EXIT.conflict,
  timeout: EXIT.unavailable,
  aborted: EXIT.interrupted,
  unavailable: EXIT.unavailable,
  corrupt: EXIT.corrupt,
  'data-missing': EXIT.corrupt,
  overloaded: EXIT.unavailable,
  'no-space': EXIT.noSpace,
  denied: EXIT.denied,
  'cursor-expired': EXIT.conflict,
  'unknown-outcome': EXIT.unavailable,
};

/** The exit code for an error. */
export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof StrataError ? BY_CODE[error.code] : EXIT.other;
}
