import { systemEnv } from '../../store/system-env.ts';

/** Longest wait for a connection to come about or to come to rest: below the usual bound of a call, so that the cause is told. */
export const PATIENCE_MS = 3_000;

/**
 * Gives up after `PATIENCE_MS` of the real clock: clients bound the connecting of a socket only,
 * not what the server then says. What comes later is handed to `late`.
 */
export function withPatience<T>(promise: Promise<T>, late?: (value: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let given = false;
    const timer = systemEnv.setTimer(() => {
      given = true;
      reject(new Error(`no answer within ${PATIENCE_MS} ms`));
    }, PATIENCE_MS);
    promise.then(
      (value) => {
        timer.cancel();
        if (given) late?.(value);
        else resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}
