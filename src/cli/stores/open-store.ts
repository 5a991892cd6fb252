import { existsSync } from 'node:fs';
import { memory } from '../../drivers/memory/index.ts';
import { StrataError, show } from '../../store/errors.ts';
import type { Store } from '../../store/store.ts';
import { byteView } from './byte-view.ts';
import { configuredStore } from './config.ts';
import { isStoreUrl, parseStoreUrl, type StoreUrl } from './store-url.ts';

/** How a store is opened, with what the environment and the common flags say. */
export interface OpenStoreOptions {
  readonly create?: boolean;
  readonly prefix?: string;
  readonly writeOnly?: boolean;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly config?: string;
  readonly local?: string;
  readonly tokenFile?: string;
  readonly timeoutMs?: number;
}

export interface OpenedStore {
  readonly store: Store<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Opens the store that an argument names, by URL or by a name of the configuration.
 * Errors: `invalid-argument` for a malformed name or a path where no store is, `unsupported` for a
 * package that is missing, and those of the store itself.
 */
export async function openStore(name: string, options: OpenStoreOptions): Promise<OpenedStore> {
  if (isStoreUrl(name)) return openUrl(parseStoreUrl(name), options);
  const found = await configuredStore(name, options.config);
  if (typeof found === 'string') return openUrl(parseStoreUrl(found), options);
  return { store: byteView(found), close: () => found.close() };
}

async function openUrl(url: StoreUrl, options: OpenStoreOptions): Promise<OpenedStore> {
  switch (url.scheme) {
    case 'memory':
      return owned(memory<Uint8Array>());
    case 'sqlite': {
      checkExists(url.scheme, url.path, options);
      const { sqlite } = await import('../../drivers/sqlite/index.ts');
      return owned(sqlite({ path: url.path }));
    }
    default:
      throw new StrataError('unsupported', `open: ${url.scheme}: stores`, { operation: 'open' });
  }
}

function owned(store: Store<Uint8Array>): OpenedStore {
  return { store, close: () => store.close() };
}

/** A mistyped path must not become a new, empty store. */
export function checkExists(scheme: string, path: string, options: OpenStoreOptions): void {
  if (options.create === true || existsSync(path)) return;
  throw new StrataError(
    'invalid-argument',
    `open: there is no store at ${show(`${scheme}:${path}`)}`,
    {
      operation: 'open',
    },
  );
}
