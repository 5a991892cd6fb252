import type { Archive } from '../compositions/archive/index.ts';
import { nearest } from '../kernel/nearest.ts';
import { show } from '../store/errors.ts';
import type { Store } from '../store/store.ts';
import type { StoreDefinition, StrataConfig } from './definitions.ts';
import type { Environment } from './examine.ts';
import { type ConfigFault, faultsError } from './faults.ts';
import { isOpenStore, type NamedValue, namedStores } from './named-stores.ts';
import {
  checkArchive,
  checkDefinition,
  openArchiveDefinition,
  openDefinition,
} from './open-definition.ts';

export type * from './definitions.ts';
export type { Environment } from './examine.ts';
export type { ConfigFault } from './faults.ts';
export type { JsonSchema } from './fields.ts';
export { configSchema } from './schema.ts';

/** Where a configuration finds what it names. */
export interface ConfigOptions {
  /** Variables for `{ "env": "NAME" }`; default those of the process. */
  readonly environment?: Environment;
  /** Where a relative path is, such as that of `lmdb`; default in the working directory. */
  readonly resolvePath?: (path: string) => string;
}

/**
 * Stores as data, or one store, for the default export of `strata.config.ts`. It changes nothing
 * and opens nothing; it is there for its types.
 *
 * ```ts
 * export default defineConfig({
 *   stores: {
 *     users: { type: 'tiered', front: { type: 'memory' }, back: { type: 'lmdb', path: './users' } },
 *   },
 * });
 * ```
 */
export function defineConfig<const C extends StrataConfig | StoreDefinition>(config: C): C {
  return config;
}

/**
 * Everything that is wrong with a configuration, each fault with its path; none where it is right.
 * Imports the drivers that it names, and opens nothing. What only an open store can tell, such as a
 * folder that is no store, is not found. `environment: undefined` takes variables on trust. Stores
 * that are open, and functions, are not looked at.
 */
export async function checkConfig(
  config: unknown,
  options: Omit<ConfigOptions, 'environment'> & {
    readonly environment?: Environment | undefined;
  } = {},
): Promise<readonly ConfigFault[]> {
  const { environment, ...rest } = { environment: ofProcess(), ...options };
  const { stores, archives, faults } = namedStores(config);
  const found: ConfigFault[] = [...faults];
  const where = { ...rest, ...(environment !== undefined && { environment }) };
  for (const { path, value } of stores)
    if (!isOpenStore(value) && typeof value !== 'function')
      found.push(...(await checkDefinition(value, path, where)));
  for (const { path, value } of archives)
    if (typeof value !== 'function') found.push(...(await checkArchive(value, path, where)));
  return found;
}

/**
 * Opens one store of a configuration; the store of one that is a store itself is called `main`.
 * Everything of it is checked first: with any fault nothing is opened, and `details.faults` of the
 * error has all of them. Where one of its parts does not open, those that did are closed. Closing
 * the store closes its parts.
 *
 * Errors: `invalid-argument`, `unsupported` for a package that is not installed, those of the stores.
 *
 * ```ts
 * const users = await openStore<TieredStore<User>>(config, 'users');
 * ```
 */
export async function openStore<S extends Store<never> | Store<unknown> = Store<unknown>>(
  config: StrataConfig | StoreDefinition,
  name: string,
  options: ConfigOptions = {},
): Promise<S> {
  const { stores, faults } = namedStores(config);
  if (faults.length > 0) throw faultsError(faults, '');
  const found = byName('store', name, stores);
  const value: unknown = typeof found.value === 'function' ? await found.value() : found.value;
  const store = isOpenStore(value)
    ? value
    : await openDefinition(value, found.path, { environment: ofProcess(), ...options });
  return store as S;
}

/**
 * Opens one archive of a configuration; closing it closes its stores too. Checked, and with errors,
 * as `openStore`.
 */
export async function openArchive(
  config: StrataConfig,
  name: string,
  options: ConfigOptions = {},
): Promise<Archive> {
  const { archives, faults } = namedStores(config);
  if (faults.length > 0) throw faultsError(faults, '');
  const { path, value } = byName('archive', name, archives);
  if (typeof value === 'function') return value();
  return openArchiveDefinition(value, path, { environment: ofProcess(), ...options });
}

function byName(what: string, name: string, all: readonly NamedValue[]): NamedValue {
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = all.map((one) => one.name);
  const near = nearest(name, names);
  const others = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
  const hint = near === undefined ? others : `did you mean ${near}?`;
  const message = `there is no ${what} ${show(name)}; ${hint}`;
  throw faultsError([{ path: '', message, code: 'invalid-argument' }], '');
}

function ofProcess(): Environment {
  return typeof process === 'undefined' ? {} : process.env;
}
