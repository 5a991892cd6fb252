import { Call } from '../store/call.ts';
import { checkKey } from '../store/keys.ts';
import type { Link, LinkReaderInit } from './link-reader.ts';
import { checkRoots, type Roots } from './options.ts';

/** The roots as they are now, each once. The function, and each step of what it gives, are bounded. */
export async function askRoots<V>(
  roots: Roots,
  init: Pick<LinkReaderInit<V>, 'store' | 'env' | 'operation' | 'signal' | 'timeoutMs'>,
): Promise<Link[]> {
  const { store, env, operation, signal, timeoutMs } = init;
  const within = <T>(work: () => T | Promise<T>): Promise<T> => {
    const call = new Call(env, operation, undefined, { signal, timeoutMs });
    return call.guard(Promise.resolve(work()));
  };
  const given = typeof roots === 'function' ? await within(roots) : roots;
  checkRoots(operation, given, false);
  const keys = new Set<string>();
  const add = (key: unknown): void => {
    checkKey(operation, key, store.capabilities.maxKeyBytes);
    keys.add(key);
  };
  if (Symbol.iterator in given) for (const key of given) add(key);
  else {
    const steps = given[Symbol.asyncIterator]();
    try {
      for (;;) {
        const step = await within(() => steps.next());
        if (step.done === true) break;
        add(step.value);
      }
    } catch (error) {
      // Its end may hang as its step did: nobody waits for it.
      steps.return?.()?.catch(() => {});
      throw error;
    }
  }
  return Array.from(keys, (key) => ({ key, from: undefined }));
}
