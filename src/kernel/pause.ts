import type { Call } from '../store/call.ts';

const FIRST_MS = 50;
const LONGEST_MS = 2_000;

/** Waits before a request is sent again: longer each time, by chance, and no longer than the call lasts. */
export function pause(call: Call, tries: number): Promise<void> {
  const { env } = call;
  const longestMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** (tries - 1));
  return new Promise((resolve, reject) => {
    const timer = env.setTimer(() => {
      forget();
      resolve();
    }, longestMs * env.random());
    const forget = call.onEnd((error) => {
      timer.cancel();
      reject(error);
    });
  });
}
