import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { usageError } from '../flags.ts';
import { fromSystemError, systemCode } from '../system-errors.ts';

/** Shorter ones could be guessed. */
const LEAST_CHARACTERS = 8;

/** A token that nobody guesses: 192 bits. */
export function randomToken(): string {
  return randomBytes(24).toString('base64url');
}

/** The token in a file. Errors: `invalid-argument`, `denied`. */
export function readToken(operation: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw fromSystemError(error, operation, path);
  }
  return checkToken(operation, text, path);
}

/** Refuses what would not travel in an address, or could be guessed; never repeats it. */
export function checkToken(operation: string, token: string, from: string): string {
  if (!/^[A-Za-z0-9._~-]+$/.test(token) || token.length < LEAST_CHARACTERS)
    throw usageError(
      operation,
      `the token of ${from} is refused; expected at least ${LEAST_CHARACTERS} of the characters A-Z a-z 0-9 . _ ~ -`,
    );
  return token;
}

/** The token kept in a file that only its owner reads, made where there is none: an address stays the same. */
export function keptToken(operation: string, path: string): string {
  try {
    const token = randomToken();
    writeFileSync(path, `${token}\n`, { flag: 'wx', mode: 0o600 });
    return token;
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw fromSystemError(error, operation, path);
    return readToken(operation, path);
  }
}
