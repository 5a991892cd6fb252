import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { invalidArgument, StrataError } from '../store/errors.ts';
import * as is from '../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../store/options.ts';
import type { Hub } from './hub.ts';
import { MAX_FRAME_BYTES } from './protocol.ts';
import type { Publication } from './publish.ts';
import { ServerWebSocket } from './transports/web-socket-server-node.ts';
import { CLOSE } from './wire.ts';

/** What is served, and where. */
export interface ServeWebSocketOptions {
  /** What is served: one store … */
  readonly publication?: Publication;
  /** … or many, each at `path/id`. */
  readonly hub?: Hub;
  /** Port to listen on; 0 takes a free one. Excludes `server`. */
  readonly port?: number;
  /** An HTTP server of the application to be attached to; it stays the application's. */
  readonly server?: Server;
  /** Address to listen on; default 127.0.0.1. */
  readonly host?: string;
  /** Path of the address; default `/`. Other paths are left to others on `server`. */
  readonly path?: string;
  /**
   * Web pages that may connect, such as `https://app.example.com`, compared exactly. Default: any
   * page, so that `authorize` alone decides; a client that is no browser sends none.
   */
  readonly origins?: readonly string[];
  /** Most connections at once; default 10,000. */
  readonly maxConnections?: number;
}

/** A running server. */
export interface WebSocketService extends AsyncDisposable {
  readonly port: number;
  /** For `webSocket(url)`; with a hub, add `/id`. */
  readonly url: string;
  readonly connections: number;
  /** Ends every connection; stops listening where it listens itself. */
  close(): Promise<void>;
}

const RULES: OptionRules = {
  publication: is.object,
  hub: is.object,
  port: {
    expected: 'a port from 0 to 65535',
    accepts: (v) => is.count.accepts(v) && (v as number) < 65_536,
  },
  server: is.object,
  host: is.text,
  path: {
    expected: 'a path like /sync',
    accepts: (v) => typeof v === 'string' && /^\/[^?#]*$/.test(v),
  },
  origins: {
    expected: 'a list of origins like https://app.example.com',
    accepts: (v) =>
      Array.isArray(v) &&
      v.every((o) => URL.canParse(o) && new URL(o).origin === o && o !== 'null'),
  },
  maxConnections: is.positive,
};

/**
 * Serves a publication or a hub over WebSocket, on a port of its own or on an HTTP server that is
 * there already. Errors: `unavailable` for a port in use, `denied` for one that may not be used,
 * `invalid-argument`.
 *
 * ```ts
 * const service = await serveWebSocket({ publication: publish(store), port: 8080 });
 * ```
 */
export async function serveWebSocket(options: ServeWebSocketOptions): Promise<WebSocketService> {
  checkOptions('serveWebSocket', options, RULES);
  if ((options.publication === undefined) === (options.hub === undefined))
    throw invalidArgument(
      'serveWebSocket',
      'what to serve',
      options.publication,
      'publication or hub',
    );
  if ((options.port === undefined) === (options.server === undefined))
    throw invalidArgument('serveWebSocket', 'where to serve', options.port, 'port or server');
  const own = options.server === undefined ? createServer(refuseHttp) : undefined;
  const server = options.server ?? (own as Server);
  const service = new Service(options, server, own);
  if (own !== undefined) await listen(own, options.port as number, options.host ?? '127.0.0.1');
  return service;
}

const CLOSE_WAIT_MS = 500;

/** Far below what `ws` allows by itself: a hostile frame must not cost much before it is refused. */
const SOCKET_OPTIONS: ServerOptions & Record<'maxFragments' | 'maxBufferedChunks', number> = {
  noServer: true,
  maxPayload: MAX_FRAME_BYTES,
  maxFragments: 1_024,
  maxBufferedChunks: 16 * 1_024,
  perMessageDeflate: false,
};

class Service implements WebSocketService {
  readonly #options: ServeWebSocketOptions;
  readonly #server: Server;
  readonly #own: Server | undefined;
  readonly #path: string;
  readonly #sockets: WebSocketServer;
  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void =>
    this.#upgrade(request, socket, head);

  constructor(options: ServeWebSocketOptions, server: Server, own: Server | undefined) {
    this.#options = options;
    this.#server = server;
    this.#own = own;
    this.#path = (options.path ?? '/').replace(/\/+$/, '');
    this.#sockets = new WebSocketServer(SOCKET_OPTIONS);
    server.on('upgrade', this.#onUpgrade);
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get url(): string {
    const host = this.#options.host ?? '127.0.0.1';
    const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
    return `ws://${shown.includes(':') ? `[${shown}]` : shown}:${this.port}${this.#path || '/'}`;
  }

  get connections(): number {
    return this.#sockets.clients.size;
  }

  async close(): Promise<void> {
    this.#server.off('upgrade', this.#onUpgrade);
    await Promise.all([...this.#sockets.clients].map(endSocket));
    this.#sockets.close();
    const own = this.#own;
    if (own === undefined) return;
    own.closeAllConnections();
    await new Promise<void>((resolve) => own.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const rest = this.#pathWithin(request.url ?? '/');
    if (rest === undefined) {
      // On a server of the application another listener may know the path; where there is none,
      // the socket would stay open for ever.
      if (this.#server.listenerCount('upgrade') === 1) refuse(socket, 404, 'Not Found');
      return;
    }
    const storeId = decoded(rest);
    if (storeId === undefined) {
      refuse(socket, 400, 'Bad Request');
      return;
    }
    const { origin } = request.headers;
    const { origins, maxConnections = 10_000 } = this.#options;
    if (origins !== undefined && origin !== undefined && !origins.includes(origin)) {
      refuse(socket, 403, 'Forbidden');
      return;
    }
    if (this.connections >= maxConnections) {
      refuse(socket, 503, 'Service Unavailable');
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const target = this.#options.publication ?? (this.#options.hub as Hub);
      target.accept(new ServerWebSocket(webSocket), { origin, storeId });
    });
  }

  /** What follows the path, or `undefined` for another path. */
  #pathWithin(url: string): string | undefined {
    const path = url.split(/[?#]/, 1)[0] as string;
    if (path === this.#path || path === `${this.#path}/`) return '';
    if (!path.startsWith(`${this.#path}/`)) return undefined;
    return path.slice(this.#path.length + 1);
  }
}

/** Part of an address as text, where it is one. */
function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** Says that the server goes; who does not answer is cut off. */
function endSocket(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.terminate(), CLOSE_WAIT_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.close(CLOSE.goingAway, 'going-away');
  });
}

function refuse(socket: Duplex, status: number, words: string): void {
  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${words}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function refuseHttp(_: IncomingMessage, response: ServerResponse): void {
  response.writeHead(426, { upgrade: 'websocket', 'content-type': 'text/plain' });
  response.end('This address speaks WebSocket.\n');
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const code = cause.code === 'EACCES' ? 'denied' : 'unavailable';
      reject(
        new StrataError(code, `serveWebSocket: cannot listen on ${host}:${port} (${cause.code})`, {
          operation: 'serveWebSocket',
          cause,
        }),
      );
    });
    server.listen(port, host, () => resolve());
  });
}
