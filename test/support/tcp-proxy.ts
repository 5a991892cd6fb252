/** A proxy between two real processes or sockets that breaks and slows connections as networks do. */
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

type Direction = 'toClient' | 'toServer';

export class TcpProxy {
  /** Ends each new connection after so many bytes from the server. */
  cutAfterBytes: number = Number.POSITIVE_INFINITY;
  /** The same, of bytes from the client. */
  cutToServerAfterBytes: number = Number.POSITIVE_INFINITY;
  /** Cuts only the next connection, and spares those that follow. */
  cutsOnce = false;
  /** Passes on so many bytes at a time, and waits `delayMs` before each. */
  dripBytes: number = Number.POSITIVE_INFINITY;
  delayMs = 0;
  /** Of each new connection, what follows so many bytes from the server waits for `resume`. */
  stallAfterBytes: number = Number.POSITIVE_INFINITY;
  /** Passes nothing on, in either direction, and says nothing of it. */
  blackhole = false;
  /** New connections are refused. */
  down = false;
  /** Bytes passed on to clients and to the server. */
  passed: Record<Direction, number> = { toClient: 0, toServer: 0 };
  connections = 0;
  /** The same of each connection by itself. */
  readonly passedBy: Record<Direction, number>[] = [];
  /** How many connections have been cut in the midst of what they sent. */
  cuts = 0;
  #stalled = Promise.withResolvers<void>();
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

  /** Lets what is stalled go on, and stalls nothing from now on. */
  resume(): void {
    this.stallAfterBytes = Number.POSITIVE_INFINITY;
    this.#stalled.resolve();
    this.#stalled = Promise.withResolvers();
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
    const passed = { toClient: 0, toServer: 0 };
    this.passedBy.push(passed);
    const server = dial(this.#target, '127.0.0.1');
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    this.#pipe(client, server, 'toServer', passed, this.cutToServerAfterBytes);
    this.#pipe(server, client, 'toClient', passed, this.cutAfterBytes);
    if (!this.cutsOnce) return;
    this.cutAfterBytes = Number.POSITIVE_INFINITY;
    this.cutToServerAfterBytes = Number.POSITIVE_INFINITY;
  }

  #pipe(
    from: Socket,
    to: Socket,
    direction: Direction,
    here: Record<Direction, number>,
    cutAfterBytes: number,
  ): void {
    let left = cutAfterBytes;
    let untilStall = direction === 'toClient' ? this.stallAfterBytes : Number.POSITIVE_INFINITY;
    const { dripBytes, delayMs } = this;
    const isPlain = delayMs === 0 && untilStall === Number.POSITIVE_INFINITY;
    const write = (bytes: Uint8Array): void => {
      this.passed[direction] += bytes.length;
      here[direction] += bytes.length;
      if (!to.destroyed) to.write(bytes);
    };
    let before: Promise<void> = Promise.resolve();
    const later = async (bytes: Uint8Array): Promise<void> => {
      for (let at = 0; at < bytes.length && !to.destroyed; ) {
        if (untilStall <= 0) {
          await this.#stalled.promise;
          untilStall = Number.POSITIVE_INFINITY;
        }
        if (delayMs > 0) await sleep(delayMs);
        const some = bytes.subarray(at, at + Math.min(dripBytes, untilStall));
        write(some);
        at += some.length;
        untilStall -= some.length;
      }
    };
    from.on('data', (bytes) => {
      if (this.blackhole || left <= 0) return;
      const passed = bytes.subarray(0, left);
      left -= passed.length;
      if (isPlain) write(passed);
      else before = before.then(() => later(passed));
      if (left <= 0) this.#end(from, to, cutAfterBytes);
    });
  }

  /** As a peer that closes, or as one that is gone. */
  #end(from: Socket, to: Socket, afterBytes: number): void {
    this.cuts++;
    if (afterBytes % 2 === 0) {
      to.end();
      from.end();
    } else {
      to.resetAndDestroy();
      from.resetAndDestroy();
    }
  }
}
