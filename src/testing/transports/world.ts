import { systemEnv } from '../../store/system-env.ts';
import type { Connector, Transport, TransportClose } from '../../sync/index.ts';
import { ConformanceError, equal } from '../assert.ts';
import { within } from '../conformance/case.ts';

/** Where connections are made for the cases: one server, and what connects to it. */
export interface TransportServer {
  /** Makes the near ends; for each of them `accept` is given the far end. */
  readonly connector: Connector;
  /** From now on the far side of new connections reads nothing, until the function that it gives is called. Default: it is not started. */
  stall?(): () => void;
  close?(): unknown;
}

/** Makes servers of one kind of transport. Each case gets its own. */
export interface TransportFactory {
  /** Serves: `accept` is to be called with the far end of every connection, as soon as there is one. */
  listen(accept: (transport: Transport) => void): TransportServer | Promise<TransportServer>;
}

/** Both ends of a connection that are not started yet. */
export interface Ends {
  readonly near: Transport;
  readonly far: Transport;
}

/** What one case works with; everything in it is ended after it. */
export class TransportWorld {
  readonly #factory: TransportFactory;
  readonly #ends: (() => unknown)[] = [];
  #server: TransportServer | undefined;
  #takers: ((far: Transport) => void)[] = [];
  #accept: ((far: Transport) => void) | undefined;

  constructor(factory: TransportFactory) {
    this.#factory = factory;
  }

  /** The server of the case; with `accept` what connects is served by it and not handed to `connect`. */
  async server(accept?: (far: Transport) => void): Promise<TransportServer> {
    this.#accept = accept;
    this.#server ??= await this.#factory.listen((far) => {
      const taker = this.#accept ?? this.#takers.shift();
      if (taker === undefined) throw new ConformanceError('a connection that nobody asked for');
      taker(far);
    });
    return this.#server;
  }

  /** Both ends of a new connection. */
  async ends(): Promise<Ends> {
    const { connector } = await this.server();
    const accepted = new Promise<Transport>((resolve) => this.#takers.push(resolve));
    const near = connector.connect();
    this.atEnd(() => near.close(1000, 'the case is over'));
    return { near, far: await within(10_000, accepted, 'a far end') };
  }

  /** Both ends, heard. */
  async pair(): Promise<{ readonly near: Heard; readonly far: Heard }> {
    const { near, far } = await this.ends();
    return { near: new Heard(near), far: new Heard(far) };
  }

  atEnd(run: () => unknown): void {
    this.#ends.push(run);
  }

  async end(): Promise<void> {
    for (const run of this.#ends.splice(0).reverse()) await run();
    await this.#server?.close?.();
  }
}

/** One end, and everything that it tells of. */
export class Heard {
  readonly transport: Transport;
  readonly messages: Uint8Array[] = [];
  readonly closes: TransportClose[] = [];
  drains = 0;
  /** What was told out of turn: from inside a call, or after the end. */
  readonly wrong: string[] = [];
  #inside = '';

  constructor(transport: Transport) {
    this.transport = transport;
    this.#within('start', () =>
      transport.start({
        message: (bytes) => {
          this.#tells('a message');
          this.messages.push(bytes);
        },
        drain: () => {
          this.#tells('a drain');
          this.drains++;
        },
        close: (how) => {
          this.#tells('a close');
          this.closes.push(how);
        },
      }),
    );
  }

  send(...messages: readonly Uint8Array[]): void {
    for (const message of messages) this.#within('send', () => this.transport.send(message));
  }

  close(code: number, reason: string): void {
    this.#within('close', () => this.transport.close(code, reason));
  }

  /** Waits for so many messages, all in all; as long as it takes while one comes after the other. */
  async heard(count: number): Promise<readonly Uint8Array[]> {
    while (this.messages.length < count) {
      const { length } = this.messages;
      await until(() => this.messages.length > length, `message ${length + 1} of ${count}`);
    }
    return this.messages;
  }

  async closed(): Promise<TransportClose> {
    await until(() => this.closes.length > 0, 'the end of the connection');
    return this.closes[0] as TransportClose;
  }

  /** Nothing was told out of turn, and the end once. */
  wasOrderly(): void {
    equal(this.wrong, [], 'what was told out of turn');
    equal(this.closes.length <= 1, true, 'the end is told once');
  }

  #within(name: string, run: () => void): void {
    this.#inside = name;
    try {
      run();
    } finally {
      this.#inside = '';
    }
  }

  #tells(what: string): void {
    if (this.#inside !== '') this.wrong.push(`${what} from inside ${this.#inside}`);
    if (this.closes.length > 0) this.wrong.push(`${what} after the end`);
  }
}

const WAIT_MS = 5_000;
const LOOK_MS = 4;

/** Waits until something holds; a case must not hang. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  waitMs: number = WAIT_MS,
): Promise<void> {
  const startMs = systemEnv.monotonicMs();
  while (!(await holds())) {
    if (systemEnv.monotonicMs() - startMs > waitMs)
      throw new ConformanceError(`${what}: not within ${waitMs} ms`);
    await pause(LOOK_MS);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void systemEnv.setTimer(resolve, ms));
}

/** A message that is told apart from others: its number in front, then so many bytes that follow from it. */
export function message(n: number, bytes = 4): Uint8Array {
  const made = new Uint8Array(Math.max(4, bytes));
  for (let i = 4; i < made.length; i++) made[i] = (n * 31 + i) & 255;
  new DataView(made.buffer).setUint32(0, n);
  return made;
}

/** Compares long messages without a word for each byte. */
export function sameMessages(
  got: readonly Uint8Array[],
  wanted: readonly Uint8Array[],
  what: string,
): void {
  equal(got.length, wanted.length, `${what}: how many`);
  got.forEach((bytes, i) => {
    const other = wanted[i] as Uint8Array;
    const same = bytes.length === other.length && bytes.every((byte, at) => byte === other[at]);
    if (!same) equal(bytes, other, `${what}: message ${i}`);
  });
}
