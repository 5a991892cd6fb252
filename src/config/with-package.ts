import { StrataError } from '../store/errors.ts';

/**
 * Runs what needs an optional package. Where that is not installed, the error says how to get it.
 * Errors: `unsupported`.
 */
export async function withPackage<T>(
  what: string,
  npmName: string,
  use: () => Promise<T>,
): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (!isMissing(error, npmName)) throw error;
    throw new StrataError(
      'unsupported',
      `open: ${what} needs the npm package ${npmName}, which is not installed; run npm install ${npmName}`,
      { operation: 'open', cause: error },
    );
  }
}

/** Whether this error, or one that caused it, says that the package is not there. */
function isMissing(error: unknown, npmName: string): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    const missing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    if (missing && at.message.includes(`'${npmName}'`)) return true;
  }
  return false;
}
