import { nearest } from '../kernel/nearest.ts';
import { StrataError, show } from '../store/errors.ts';

/** A store's address, taken apart. */
export type StoreUrl =
  | { readonly scheme: 'memory' }
  | { readonly scheme: 'lmdb' | 'sqlite' | 'file'; readonly path: string }
  | { readonly scheme: 'redis'; readonly url: string; readonly prefix?: string }
  | { readonly scheme: 'ws'; readonly url: string };

const FORMS: Readonly<Record<string, string>> = {
  memory: 'memory:',
  lmdb: 'lmdb:./data',
  sqlite: 'sqlite:./file.db',
  file: 'file:./folder',
  redis: 'redis://host:6379/prefix',
  rediss: 'rediss://host:6379/prefix',
  ws: 'ws://host:8080/',
  wss: 'wss://host/',
};

/** Every way to write a store's address, for help. */
export const STORE_FORMS: readonly string[] = Object.values(FORMS);

const SCHEME = /^([a-z][a-z0-9+.-]*):/i;

/** Whether a store is named by URL; else it is a name in the configuration. */
export function isStoreUrl(text: string): boolean {
  return SCHEME.test(text);
}

function refuse(text: string, expected: string): StrataError {
  return new StrataError(
    'invalid-argument',
    `open: the store is ${show(withoutSecrets(text))}; expected ${expected}`,
    { operation: 'open' },
  );
}

/** Takes a store's address apart. Errors: `invalid-argument`, with secrets left out of the text. */
export function parseStoreUrl(text: string): StoreUrl {
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase() ?? '';
  const rest = text.slice(scheme.length + 1);
  switch (scheme) {
    case 'memory':
      if (rest !== '') throw refuse(text, 'memory: alone');
      return { scheme };
    case 'lmdb':
    case 'sqlite':
    case 'file':
      // Two slashes would make a host of the first folder's name.
      if (rest === '' || /^\/\/(?!\/)/.test(rest))
        throw refuse(text, `a path, as ${FORMS[scheme]}`);
      return { scheme, path: rest };
    case 'redis':
    case 'rediss':
      return parseRedis(text);
    case 'ws':
    case 'wss':
      return parseSocket(text);
    default: {
      const near = nearest(scheme, Object.keys(FORMS));
      const hint = near === undefined ? STORE_FORMS.join(', ') : `${FORMS[near]}`;
      throw refuse(text, `one such as ${hint}`);
    }
  }
}

function parseRedis(text: string): StoreUrl {
  const url = URL.parse(text);
  if (url === null || url.hostname === '')
    throw refuse(text, 'one such as redis://host:6379/prefix');
  if (url.search !== '' || url.hash !== '') throw refuse(text, 'no query and no fragment');
  // A leading number is the database, as everywhere; the rest is ours.
  const [, database = '', rest = ''] = /^\/?(\d+(?=\/|$))?\/?(.*)$/.exec(url.pathname) ?? [];
  let prefix: string;
  try {
    prefix = decodeURIComponent(rest);
  } catch {
    throw refuse(text, 'a well-formed address');
  }
  url.pathname = database;
  return { scheme: 'redis', url: url.href, ...(prefix !== '' && { prefix }) };
}

const CLUSTER = /^redis(s?)\+cluster:\/\/((?:[^/?#@]*@)?)([^/?#@]+)\/?$/i;

/**
 * The addresses of the nodes that `redis+cluster://[USER:PASSWORD@]HOST:PORT[,HOST:PORT …]` names,
 * with `rediss+cluster` those by TLS. Undefined where it is no address of a cluster.
 */
export function clusterNodesOf(text: string): readonly string[] | undefined {
  const [, secure = '', user = '', hosts = ''] = CLUSTER.exec(text) ?? [];
  const urls = hosts.split(',').map((host) => `redis${secure.toLowerCase()}://${user}${host}`);
  return urls.every((url) => !!URL.parse(url)?.hostname) ? urls : undefined;
}

function parseSocket(text: string): StoreUrl {
  const url = URL.parse(text);
  if (url === null || url.hostname === '') throw refuse(text, 'one such as ws://host:8080/');
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '')
    throw refuse(
      text,
      'no query, fragment or password: a token travels in STRATAKV_TOKEN or --token-file',
    );
  return { scheme: 'ws', url: url.href };
}

/** A store's address as it may be shown: without password, query and fragment. */
export function withoutSecrets(text: string): string {
  return text
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1…@')
    .replace(/^(wss?|rediss?):([^?#]*)[?#].*$/i, '$1:$2');
}
