import { existsSync } from 'node:fs';
import { isStoreUrl, parseStoreUrl, type StoreUrl } from '../../config/address.ts';
import type { StoreNode } from '../../config/examine.ts';
import { isOpenStore } from '../../config/named-stores.ts';
import { type DefinitionOptions, openDefinition } from '../../config/open-definition.ts';
import { memory } from '../../drivers/memory/index.ts';
import { StrataError, show } from '../../store/errors.ts';
import type { Store } from '../../store/store.ts';
import { readToken } from '../serve/token.ts';
import { byteView } from './byte-view.ts';
import { configuredStore } from './config.ts';

/** How a store is opened, with what the environment and the common flags say. */
export interface OpenStoreOptions {
  /** Whether it is written to, and made where there is none; else a missing path is refused. Default `read`. */
  readonly access?: 'read' | 'write' | 'create';
  /** The part of the store that is looked at; of a remote one no more is copied. Default all. */
  readonly prefix?: string;
  /** Whether nothing of it is read: a remote store is then not copied. Default false. */
  readonly withoutCopy?: boolean;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** The configuration that names stores. */
  readonly config?: string;
  /** The local copy of a remote store; default in memory. */
  readonly local?: string;
  readonly tokenFile?: string;
  readonly timeoutMs?: number;
  /** Hears of what goes wrong with a remote store later; `final` when it cannot go on. */
  onTrouble(error: Error, final: boolean): void;
}

export interface OpenedStore {
  /** The store's values as bytes. */
  readonly store: Store<Uint8Array>;
  /** The store itself, with its own values. */
  readonly source: Store<unknown>;
  close(): Promise<void>;
}

/**
 * Opens the store that an argument names, by URL or by a name of the configuration.
 * Errors: `invalid-argument` for a malformed name, a fault of the configuration or a path where no
 * store is, `unsupported` for a package that is missing, and those of the store itself.
 */
export async function openStore(name: string, options: OpenStoreOptions): Promise<OpenedStore> {
  if (isStoreUrl(name)) return openUrl(parseStoreUrl(name), options);
  const found = await configuredStore(name, options.config);
  const value: unknown = typeof found.value === 'function' ? await found.value() : found.value;
  const url = typeof value === 'string' && isStoreUrl(value) ? parseStoreUrl(value) : undefined;
  if (url?.scheme === 'ws') return openSubscriber(url.url, options);
  const { path, file: where, resolvePath } = found;
  const store = isOpenStore(value)
    ? value
    : await openDefinition(value, path, { ...asData(options), where, resolvePath });
  return { store: byteView(store), source: store, close: () => store.close() };
}

async function openUrl(url: StoreUrl, options: OpenStoreOptions): Promise<OpenedStore> {
  if (url.scheme === 'ws') return openSubscriber(url.url, options);
  const { scheme: type, ...place } = url;
  const store = await openDefinition({ type, ...place }, '', asData(options));
  return owned(store as Store<never> as Store<Uint8Array>);
}

function asData({ access = 'read', environment }: OpenStoreOptions): DefinitionOptions {
  return {
    environment,
    reading: access === 'read',
    onNode: (node) => {
      if (access !== 'create') checkExists(node);
    },
  };
}

function owned(store: Store<Uint8Array>): OpenedStore {
  return { store, source: store as Store<unknown>, close: () => store.close() };
}

async function openSubscriber(url: string, options: OpenStoreOptions): Promise<OpenedStore> {
  const { local, prefix, tokenFile, environment, signal, timeoutMs, onTrouble } = options;
  const token = tokenFile === undefined ? environment.STRATAKV_TOKEN : readToken('open', tokenFile);
  const copy = await openCopy(options);
  const { openRemote } = await import('./open-remote.ts');
  try {
    const store = await openRemote(url, copy.store, {
      token,
      signal,
      onTrouble,
      withoutCopy: local === undefined && options.withoutCopy === true,
      // A copy that is kept is one of everything, whatever this command looks at.
      ...(local === undefined && prefix !== undefined && { prefix }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    const close = async (): Promise<void> => {
      await store.close();
      await copy.close();
    };
    return { store, source: store as Store<unknown>, close };
  } catch (error) {
    await copy.close();
    throw error;
  }
}

function openCopy({ local, ...options }: OpenStoreOptions): Promise<OpenedStore> {
  return local === undefined
    ? Promise.resolve(owned(memory<Uint8Array>()))
    : openStore(local, { ...options, access: 'create' });
}

/** A mistyped path must not become a new, empty store: something of it must be there. */
function checkExists(node: StoreNode): void {
  const [first, ...others] = driversOf(node).filter(({ type }) => type !== 'memory');
  if (first === undefined || [first, ...others].some(mayExist)) return;
  const place = `${first.type}:${String(first.values.path)}`;
  throw new StrataError('invalid-argument', `open: there is no store at ${show(place)}`, {
    operation: 'open',
  });
}

function mayExist({ values: { path } }: StoreNode): boolean {
  return typeof path !== 'string' || path === ':memory:' || existsSync(path);
}

function driversOf(node: StoreNode): StoreNode[] {
  return node.spec.kind === 'driver' ? [node] : Object.values(node.parts).flat().flatMap(driversOf);
}
