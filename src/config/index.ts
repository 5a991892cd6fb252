import { nearest } from '../kernel/nearest.ts';
import { show } from '../store/errors.ts';
import type { Store } from '../store/store.ts';
import type { StoreDefinition, StrataConfig } from './definitions.ts';
import type { Environment } from './examine.ts';
import { type ConfigFault, faultsError } from './faults.ts';
import { isOpenStore, namedStores } from './named-stores.ts';
import { checkDefinition, openDefinition } from './open-definition.ts';

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
  const { stores, faults } = namedStores(config);
  const found: ConfigFault[] = [...faults];
  for (const { path, value } of stores)
    if (!isOpenStore(value) && typeof value !== 'function')
      found.push(
        ...(await checkDefinition(value, path, {
          ...rest,
          ...(environment !== undefined && { environment }),
        })),
      );
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
  const found = stores.find((store) => store.name === name);
  if (found === undefined) throw faultsError([unknownStore(name, stores)], '');
  const value: unknown = typeof found.value === 'function' ? await found.value() : found.value;
  const store = isOpenStore(value)
    ? value
    : await openDefinition(value, found.path, { environment: ofProcess(), ...options });
  return store as S;
}

function unknownStore(name: string, stores: readonly { readonly name: string }[]): ConfigFault {
  const names = stores.map((store) => store.name);
  const near = nearest(name, names);
  const hint = near === undefined ? `it has ${names.join(', ')}` : `did you mean ${near}?`;
  return {
    path: '',
    message: `there is no store ${show(name)}; ${hint}`,
    code: 'invalid-argument',
  };
}

function ofProcess(): Environment {
  return typeof process === 'undefined' ? {} : process.env;
}
