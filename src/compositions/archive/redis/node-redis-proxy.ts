import { asIts } from './itself.ts';
import type { Session } from './session.ts';

/** How a client of node-redis becomes one with an archive. */
export interface NodeRedisProxyInit<C> {
  readonly client: C & { readonly Multi: { readonly prototype: object } };
  /** What node-redis calls `this` when it makes a command. */
  readonly sender: object;
  readonly session: Session;
  /** What the archived client has under a name in place of the client's. */
  own(name: string): unknown;
  /** Of the same client with other options of its commands. */
  variant(client: C): object;
  /** Of a duplicate. */
  again(client: C): unknown;
}

/** Give the same client with other options of its commands. */
const VARIANTS: ReadonlySet<string> = new Set([
  'withCommandOptions',
  'withTypeMapping',
  'withAbortSignal',
  'asap',
]);
/** Go through other methods, so that they are run on the archived client. */
const COMPOSED = /^(scan|hScan|hScanValues|hScanNoValues|sScan|zScan)Iterator$/;
const CLOSING: ReadonlySet<string> = new Set(['close', 'quit', 'QUIT']);
const DESTROYING: ReadonlySet<string> = new Set(['destroy', 'disconnect']);

/** The same client, but that its commands are made by the sender. */
export function nodeRedisProxy<C extends object>(init: NodeRedisProxyInit<C>): object {
  const { client, sender, session } = init;
  const proxy: object = new Proxy(client, {
    get(target, name) {
      // Of a module: an object of commands that go to whom it was asked of.
      if (Object.hasOwn(target.Multi.prototype, name)) {
        const value: unknown = Reflect.get(target, name, sender);
        return typeof value === 'function' ? value.bind(sender) : value;
      }
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || typeof name !== 'string') return value;
      const own = init.own(name);
      if (own !== undefined) return own;
      if (COMPOSED.test(name)) return value.bind(proxy);
      if (VARIANTS.has(name))
        return (...args: unknown[]) => init.variant(value.apply(target, args));
      if (name === 'duplicate')
        return (...args: unknown[]) => init.again(value.apply(target, args));
      const method = asIts(value as (...args: never) => unknown, target, () => proxy);
      return ending(name, method, session);
    },
  });
  return proxy;
}

/** Ends the session with the client. */
function ending(
  name: string,
  method: (...args: unknown[]) => unknown,
  session: Session,
): (...args: unknown[]) => unknown {
  if (CLOSING.has(name)) return (...args) => session.close().then(() => method(...args));
  if (!DESTROYING.has(name)) return method;
  return (...args) => {
    session.destroy();
    return method(...args);
  };
}
