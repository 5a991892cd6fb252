import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { faultsError } from '../../config/faults.ts';
import { type NamedValue, type NamedValues, namedStores } from '../../config/named-stores.ts';
import { nearest } from '../../kernel/nearest.ts';
import { StrataError, show } from '../../store/errors.ts';

const DEFAULT_FILES = ['ts', 'mts', 'js', 'mjs', 'json'].map((end) => `strata.config.${end}`);

/** A configuration as it was read. */
export interface LoadedConfig extends NamedValues {
  readonly file: string;
  /** Where a path of it is: beside it. */
  readonly resolvePath: (path: string) => string;
}

/** A store of a configuration, not open yet. */
export interface ConfiguredStore extends NamedValue, Pick<LoadedConfig, 'file' | 'resolvePath'> {}

function refuse(message: string, cause?: unknown): StrataError {
  return new StrataError('invalid-argument', `open: ${message}`, { operation: 'open', cause });
}

/**
 * Reads a configuration: JSON, or a module with a default export. Default is the `strata.config.*`
 * of the working directory; `undefined` where there is none. Errors: `invalid-argument`.
 */
export async function loadConfig(file: string | undefined): Promise<LoadedConfig | undefined> {
  const path = file ?? DEFAULT_FILES.find((candidate) => existsSync(candidate));
  if (path === undefined) return undefined;
  if (!existsSync(path)) throw refuse(`the configuration ${path} does not exist`);
  const folder = dirname(resolve(path));
  const isJson = path.endsWith('.json');
  let config: unknown;
  try {
    config = isJson ? JSON.parse(readFileSync(path, 'utf8')) : await defaultExport(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw refuse(`the configuration ${path} cannot be loaded: ${why}`, cause);
  }
  return {
    ...namedStores(config, !isJson),
    file: path,
    resolvePath: (given) => resolve(folder, given),
  };
}

async function defaultExport(path: string): Promise<unknown> {
  const loaded: { readonly default?: unknown } = await import(pathToFileURL(resolve(path)).href);
  return loaded.default;
}

/** Finds a store by name in the configuration. Opens none. Errors: `invalid-argument`. */
export async function configuredStore(
  name: string,
  given: string | undefined,
): Promise<ConfiguredStore> {
  const config = await loadConfig(given);
  if (config === undefined)
    throw refuse(
      `${show(name)} is no address such as memory: or lmdb:./data, and there is no strata.config.ts that could name it`,
    );
  return byName(config, 'store', name);
}

/** Finds an archive by name in the configuration. Opens none. Errors: `invalid-argument`. */
export async function configuredArchive(
  name: string,
  given: string | undefined,
): Promise<ConfiguredStore> {
  const config = await loadConfig(given);
  if (config === undefined)
    throw refuse(
      `${show(name)} is no address of a Redis such as redis://127.0.0.1 or redis+cluster://127.0.0.1:7000, and there is no strata.config.ts that could name an archive`,
    );
  return byName(config, 'archive', name);
}

function byName(config: LoadedConfig, what: 'store' | 'archive', name: string): ConfiguredStore {
  const { faults, file, resolvePath } = config;
  if (faults.length > 0) throw faultsError(faults, file);
  const all = what === 'store' ? config.stores : config.archives;
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return { ...found, file, resolvePath };
  const names = all.map((one) => one.name);
  const near = nearest(name, names);
  const others = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
  const hint = near === undefined ? others : `did you mean ${near}?`;
  throw refuse(`${file} has no ${what} ${show(name)}; ${hint}`);
}
