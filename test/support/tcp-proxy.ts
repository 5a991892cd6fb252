/** A proxy between two real processes or sockets that breaks connections as networks do. */
import { createServer, connect as dial, type Server, type Socket } from 'node:net';

export class TcpProxy {
  /** Ends each new connection after so many bytes from the server. */
  cutAfterBytes: number = Number.POSITIVE_INFINITY;
  /** Passes nothing on, in either direction, and says nothing of it. */
  blackhole = false;
  /** New connections are refused. */
  down = false;
  /** Bytes passed on to clients and to the server. */
  passed = { toClient: 0, toServer: 0 };
  connections = 0;
  readonly #target: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#join(client));
  }

  /** Listens on a free port of the loopback and passes on to `target` there. */
  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Breaks every connection there is. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket): void {
    if (this.down) {
      client.destroy();
      return;
    }
    this.connections++;
    const server = dial(this.#target, '127.0.0.1');
    let left = this.cutAfterBytes;
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (bytes) => {
      if (this.blackhole) return;
      this.passed.toServer += bytes.length;
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (this.blackhole) return;
      const passed = bytes.subarray(0, left);
      left -= passed.length;
      this.passed.toClient += passed.length;
      client.write(passed);
      if (left <= 0) client.end();
    });
  }
}
