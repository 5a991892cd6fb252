import { setTimeout as sleep } from 'node:timers/promises';
import { withPackage } from '../../config/with-package.ts';
import { describeStore } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import type { Authorize, Hub } from '../../sync/index.ts';
import { hub } from '../../sync/index.ts';
import type { WebSocketService } from '../../sync/node.ts';
import type { Context } from '../context.ts';
import { oneLine } from '../terminal/printable.ts';
import { version } from '../version.ts';
import { type ArchiveToShow, startArchiveFigures } from './archive-figures.ts';
import { type HttpServer, startHttpServer } from './http-server.ts';
import { isLoopback, sameToken } from './security.ts';
import { loadStaticFiles } from './static-files.ts';
import { startStats } from './stats-store.ts';

/** By these ids subscribers ask: `ws://host:port/main`, and `/stats` for figures about it. */
export const MAIN_ID = 'main';
export const STATS_ID = 'stats';

/** How long subscribers may take to get the last changes, and again to say goodbye. */
const GOODBYE_MS = 500;

export interface ServeOptions {
  /** Shown by the console. */
  readonly name: string;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** What whoever connects has to know. */
  readonly token: string;
  /** Whether subscribers may write. */
  readonly writable: boolean;
  /** What is to be done once the address is ours, and before anybody is served. */
  readonly prepare?: () => Promise<unknown>;
  /** Has a page of the console. */
  readonly archive?: ArchiveToShow | undefined;
}

/** Serves a store and its console until the user wants to stop; then ends everything in good order. */
export async function serveStore(
  context: Context,
  store: Store<unknown>,
  options: ServeOptions,
): Promise<void> {
  const { token, writable, name, archive } = options;
  const onError = (error: Error): void =>
    context.note(context.errStyle.dim(oneLine(error.message)));
  const http = await startHttpServer({ ...options, files: loadStaticFiles(), onError });
  context.onClose(() => http.close());
  await options.prepare?.();
  const stores = hub();
  const publication = stores.register(MAIN_ID, store, {
    authorize: grant(token, writable),
    onError,
  });
  const stats = await startStats(publication, store, { name, writable, version: version() });
  context.onClose(() => stats.close());
  if (archive !== undefined) {
    const figures = await startArchiveFigures(archive, stats.store);
    context.onClose(() => figures.close());
  }
  stores.register(STATS_ID, stats.store, { authorize: grant(token, false) });
  const sockets = await serveSockets(http, stores);
  context.onClose(() => sayGoodbye(stores, sockets));
  await announce(context, http, store, options);
  await context.interrupt.wait();
  context.note('stopping');
}

function grant(token: string, write: boolean): Authorize {
  return (request) => sameToken(request.token, token) && { read: true, write };
}

async function serveSockets(http: HttpServer, stores: Hub): Promise<WebSocketService> {
  const { serveWebSocket } = await withPackage('serve', 'ws', () => import('../../sync/node.ts'));
  // The address without a path means the store that is served.
  http.server.prependListener('upgrade', (request) => {
    if (request.url === '/') request.url = `/${MAIN_ID}`;
  });
  return serveWebSocket({ hub: stores, server: http.server });
}

async function sayGoodbye(stores: Hub, sockets: WebSocketService): Promise<void> {
  await stores.close({ drainMs: GOODBYE_MS });
  const until = performance.now() + GOODBYE_MS;
  while (sockets.connections > 0 && performance.now() < until) await sleep(5);
  await sockets.close();
}

async function announce(
  context: Context,
  { port, url, socketUrl }: HttpServer,
  store: Store<unknown>,
  { host, token, writable, archive }: ServeOptions,
): Promise<void> {
  const { out, style, json } = context;
  const consoleUrl = `${url}#token=${token}`;
  const address = `${socketUrl}${MAIN_ID}`;
  if (json) {
    await out.line(JSON.stringify({ url: consoleUrl, address, token, port, writable }));
    return;
  }
  const { type } = describeStore(store);
  const rows = [
    [
      'serving',
      `${type}, ${writable ? 'read and write' : 'read only; --write lets subscribers write'}`,
    ],
    ...(archive === undefined ? [] : [['archive', archiveText(archive)] as const]),
    ['console', style.cyan(consoleUrl)],
    ['programs', `STRATAKV_TOKEN=${token} npx stratakv list ${address}`],
  ] as const;
  for (const [label, text] of rows) await out.line(`${style.dim(label.padEnd(9))} ${text}`);
  if (!isLoopback(host))
    context.note(`${host} can be reached from elsewhere, and nothing on the way is encrypted`);
  context.note(context.errStyle.dim('Ctrl-C stops'));
}

function archiveText({ name, worker }: ArchiveToShow): string {
  return `${name}, ${worker === undefined ? 'only looked at; --work freezes and evicts' : 'frozen and evicted here'}`;
}
