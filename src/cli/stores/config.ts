import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { nearest } from '../../kernel/nearest.ts';
import { StrataError, show } from '../../store/errors.ts';
import { PRIMITIVES } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';

/** A store of the configuration: an address, an open store, or a function that opens one. */
type Named = string | Store<unknown> | (() => unknown);

const DEFAULT_FILES = [
  'strata.config.ts',
  'strata.config.mts',
  'strata.config.js',
  'strata.config.mjs',
];

function refuse(message: string, cause?: unknown): StrataError {
  return new StrataError('invalid-argument', `open: ${message}`, { operation: 'open', cause });
}

/**
 * Finds a store by name in the configuration: a module whose default export is `{ stores }` or the
 * stores by name themselves. Only the store asked for is opened. Errors: `invalid-argument`.
 */
export async function configuredStore(
  name: string,
  file: string | undefined,
): Promise<string | Store<unknown>> {
  const path = file ?? DEFAULT_FILES.find((candidate) => existsSync(candidate));
  if (path === undefined)
    throw refuse(
      `${show(name)} is no address such as memory: or lmdb:./data, and there is no strata.config.ts that could name it`,
    );
  const stores = await loadStores(path);
  const found = Object.hasOwn(stores, name) ? stores[name] : undefined;
  if (found === undefined) {
    const names = Object.keys(stores);
    const near = nearest(name, names);
    const hint = near === undefined ? `it has ${names.join(', ')}` : `did you mean ${near}?`;
    throw refuse(`${path} has no store ${show(name)}; ${hint}`);
  }
  const opened: unknown = typeof found === 'function' ? await found() : found;
  if (typeof opened === 'string' || isStore(opened)) return opened;
  throw refuse(
    `the store ${name} of ${path} is ${show(opened)}; expected an address, a store, or a function that gives one`,
  );
}

function isStore(value: unknown): value is Store<unknown> {
  return typeof value === 'object' && value !== null && PRIMITIVES in value;
}

async function loadStores(path: string): Promise<Readonly<Record<string, Named>>> {
  if (!existsSync(path)) throw refuse(`the configuration ${path} does not exist`);
  let loaded: { readonly default?: unknown };
  try {
    loaded = await import(pathToFileURL(resolve(path)).href);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw refuse(`the configuration ${path} cannot be loaded: ${why}`, cause);
  }
  const config = loaded.default;
  const inner =
    typeof config === 'object' && config !== null && 'stores' in config ? config.stores : config;
  if (
    typeof inner !== 'object' ||
    inner === null ||
    isStore(inner) ||
    Object.keys(inner).length === 0
  )
    throw refuse(
      `the configuration ${path} exports no stores; expected export default { stores: { name: store } }`,
    );
  return inner as Readonly<Record<string, Named>>;
}
