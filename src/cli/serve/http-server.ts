import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fromSystemError } from '../system-errors.ts';
import { hostGuard, securityHeaders, urlHost } from './security.ts';
import type { StaticFile } from './static-files.ts';

export interface HttpServerOptions {
  /** Address to listen on. */
  readonly host: string;
  /** Port to listen on; 0 takes a free one. */
  readonly port: number;
  readonly files: ReadonlyMap<string, StaticFile>;
  /** Hears of connections that could not be taken. */
  onError(error: Error): void;
}

/** A listening server of the console's files. */
export interface HttpServer {
  readonly server: Server;
  readonly port: number;
  /** `http://127.0.0.1:8080/`, without a token. */
  readonly url: string;
  /** `ws://127.0.0.1:8080/` */
  readonly socketUrl: string;
  /** Whether a `Host` header means this server. */
  readonly isOwnHost: (header: string | undefined) => boolean;
  close(): Promise<void>;
}

/** How long an answer under way may take when the server closes. */
const CLOSE_GRACE_MS = 1_000;

/**
 * Listens, and serves files to requests that name this server as their host. Errors: `unavailable`
 * where the port is in use, `denied` where it may not be had.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const server = createServer({ maxHeaderSize: 16 * 1024, requestTimeout: 30_000 });
  server.listen(options.port, options.host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw fromSystemError(error, 'serve', `port ${options.port} of ${options.host}`);
  }
  server.on('error', options.onError);
  const { port } = server.address() as AddressInfo;
  const isOwnHost = hostGuard(options.host, port);
  server.on('request', (request, response) => answer(request, response, isOwnHost, options.files));
  // Before anything else sees it: a page of another site reaches no socket either.
  server.prependListener('upgrade', (request, socket) => {
    if (isOwnHost(request.headers.host) && isOwnOrigin(request)) return;
    // Nobody else listens now, and a peer that resets must not end the process.
    socket.on('error', () => socket.destroy());
    socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    socket.destroy();
  });
  return {
    server,
    port,
    url: `http://${urlHost(options.host)}:${port}/`,
    socketUrl: `ws://${urlHost(options.host)}:${port}/`,
    isOwnHost,
    close: () => closeServer(server),
  };
}

/** A browser says where its page comes from: it must be this very server. Other clients say nothing. */
function isOwnOrigin({ headers }: IncomingMessage): boolean {
  const { origin, host } = headers;
  return origin === undefined || origin === `http://${host}`;
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  isOwnHost: (header: string | undefined) => boolean,
  files: ReadonlyMap<string, StaticFile>,
): void {
  const { headers, method, url = '' } = request;
  request.resume();
  if (!isOwnHost(headers.host)) {
    send(response, 403, plain('not this host'));
    return;
  }
  for (const [name, value] of Object.entries(securityHeaders(headers.host ?? '')))
    response.setHeader(name, value);
  const file = files.get(url.split('?', 1)[0] ?? '');
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    send(response, 405, plain('only GET and HEAD'));
  } else if (file !== undefined) send(response, 200, file, method === 'HEAD');
  else
    send(
      response,
      404,
      plain(files.size > 0 ? 'not found' : 'the console is not built; run npm run build'),
    );
}

function plain(text: string): StaticFile {
  return { type: 'text/plain; charset=utf-8', bytes: Buffer.from(`${text}\n`) };
}

function send(response: ServerResponse, status: number, file: StaticFile, bare = false): void {
  response.writeHead(status, { 'content-type': file.type, 'content-length': file.bytes.length });
  response.end(bare ? undefined : file.bytes);
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const patience = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  await closed;
  clearTimeout(patience);
}
