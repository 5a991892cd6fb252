import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import type { Asked } from '../../test/support/many-stores-server.ts';
import { loseCursor } from '../../test/support/reconcile-world.ts';
import { TcpProxy } from '../../test/support/tcp-proxy.ts';
import { memory } from '../drivers/memory/index.ts';
import { defineStore } from '../store/define-store.ts';
import { isStrataError } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import type { Store, StoreWithBlocking } from '../store/store.ts';
import { FaultPlan, faulty } from '../testing/index.ts';
import { type Connector, subscribe, webSocket } from './index.ts';
import { decodeMessage, MESSAGES } from './protocol.ts';

/** Two processes and a proxy between them that breaks at every byte of an exchange. */

const program = new URL('../../test/support/many-stores-server.ts', import.meta.url);
const OPTIONS = { token: 'secret', reconnect: { baseMs: 2, capMs: 20 }, timeoutMs: 60_000 };
/** Exchanges at once. */
const AT_ONCE = 16;
const LIMIT_MS = 240_000;
const PATIENCE_MS = 30_000;
const DONE = { 'key b': 'new', 'key c': 'old', 'key d': 'old', 'key e': 'new', n: '1' };

let server: ChildProcess;
let port = 0;
let made = 0;

const ask = (asked: Asked): boolean => server.send(asked);
const said = <T>(): Promise<T> =>
  new Promise((resolve) => server.once('message', (message) => resolve(message as T)));

beforeAll(async () => {
  server = fork(program);
  port = (await said<{ port: number }>()).port;
});
afterAll(() => void server.kill('SIGKILL'));

/** Ids of so many new stores. */
async function make(count: number): Promise<number[]> {
  ask({ make: count });
  const before = made;
  made = (await said<{ made: number }>()).made;
  return Array.from({ length: count }, (_, i) => before + i);
}

async function served(): Promise<Record<string, string>[]> {
  ask({ tell: true });
  return (await said<{ told: Record<string, string>[] }>()).told;
}

const addressOf = (at: number, id: number): string => `ws://127.0.0.1:${at}/${id}`;

const increment = (value: Uint8Array | undefined): Uint8Array =>
  bytes(String(Number(words(value) ?? 0) + 1));

function textOf(store: StoreWithBlocking<Uint8Array>): Record<string, string> {
  return Object.fromEntries(
    [...store.blocking.list()].map(({ key, value }) => [key, words(value) ?? '']),
  );
}

/** A copy of a store that has changed since, with a cursor that is not continued. */
async function staleCopy(id: number): Promise<StoreWithBlocking<Uint8Array>> {
  const local = memory<Uint8Array>();
  const first = subscribe(webSocket(addressOf(port, id)), local, OPTIONS);
  await first.ready;
  await first.close();
  loseCursor(local);
  const other = subscribe(webSocket(addressOf(port, id)), memory<Uint8Array>(), OPTIONS);
  await other.remote.batch([
    { type: 'delete', key: 'key a' },
    { type: 'set', key: 'key b', value: bytes('new') },
    { type: 'set', key: 'key e', value: bytes('new') },
  ]);
  await other.close();
  return local;
}

/** The states that a copy may show, in order; it never goes back. */
const STATES = [
  { 'key a': 'old', 'key b': 'old', 'key c': 'old', 'key d': 'old' },
  { 'key b': 'new', 'key c': 'old', 'key d': 'old', 'key e': 'new' },
  DONE,
].map((state) => JSON.stringify(state));

/** The store with a look at each state that it comes to. */
function looked(plain: StoreWithBlocking<Uint8Array>, wrong: string[]): Store<Uint8Array> {
  const inside = primitivesOf(plain);
  let at = 0;
  return defineStore<Uint8Array>({
    ...inside,
    commit: (writes, call) => {
      const done = inside.commit(writes, call);
      const state = JSON.stringify(textOf(plain));
      const now = STATES.indexOf(state);
      if (now < at) wrong.push(`${state} after ${STATES[at]}`);
      at = Math.max(at, now);
      return done;
    },
  });
}

/** Tells of each type of message that comes or goes. */
function tapped(connector: Connector, tell: (type: string) => void): Connector {
  return {
    connect: () => {
      const transport = connector.connect();
      return {
        get bufferedBytes() {
          return transport.bufferedBytes;
        },
        start: (handlers) =>
          transport.start({
            ...handlers,
            message: (frame) => {
              tell(decodeMessage(frame).type);
              handlers.message(frame);
            },
          }),
        send: (frame) => {
          tell(decodeMessage(frame).type);
          transport.send(frame);
        },
        close: (code, reason) => transport.close(code, reason),
      };
    },
  };
}

interface Exchange {
  readonly wrong: readonly string[];
  readonly types: ReadonlySet<string>;
  /** Of the first connection. */
  readonly passed: TcpProxy['passed'];
  readonly cuts: number;
}

/**
 * One exchange with every message but `piece`, over a connection that `spoil` makes a bad one: a copy
 * is compared, writes once, is refused, fails for a moment, is told to come back.
 */
async function exchange(id: number, spoil: (proxy: TcpProxy) => void): Promise<Exchange> {
  const held = await staleCopy(id);
  const proxy = await TcpProxy.start(port);
  spoil(proxy);
  const wrong: string[] = [];
  const types = new Set<string>();
  const plan = new FaultPlan();
  plan.failNext('commit', 'no-space');
  const local = faulty(looked(held, wrong), plan);
  const wire = tapped(webSocket(addressOf(proxy.port, id)), (type) => void types.add(type));
  const subscription = subscribe(wire, local, OPTIONS);
  const { remote } = subscription;
  try {
    await subscription.ready;
    await remote.update('n', increment);
    const refused = await remote.set('denied', bytes('')).catch((error: unknown) => error);
    if (!isStrataError(refused, 'denied')) wrong.push(`the write was not denied: ${refused}`);
    await until(() => subscription.status().connected);
    await until(() => types.has('live'));
    const before = subscription.status().connections;
    ask({ sendAway: id });
    await until(() => subscription.status().connections > before);
    await until(() => subscription.status().state === 'live');
    await until(() => JSON.stringify(textOf(held)) === JSON.stringify(DONE));
  } catch (error) {
    wrong.push(`${error}`);
  } finally {
    await subscription.close();
    await proxy.stop();
  }
  return { wrong, types, passed: proxy.passedBy[0] as TcpProxy['passed'], cuts: proxy.cuts };
}

async function until(isSo: () => boolean): Promise<void> {
  for (const from = performance.now(); !isSo(); await sleep(2))
    if (performance.now() - from > PATIENCE_MS) throw new Error(`in vain: ${isSo}`);
}

/** Exchanges with many stores, some at once; what was wrong in any. */
async function exchanges(
  count: number,
  spoil: (n: number, proxy: TcpProxy) => void,
): Promise<{ wrong: string[]; cuts: number }> {
  const ids = await make(count);
  const wrong: string[] = [];
  let next = 0;
  let cuts = 0;
  const work = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) {
      const done = await exchange(ids[n] as number, (proxy) => spoil(n, proxy));
      wrong.push(...done.wrong.map((what) => `exchange ${n}: ${what}`));
      cuts += done.cuts;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const sources = await served();
  for (const [n, id] of ids.entries())
    if (JSON.stringify(sources[id]) !== JSON.stringify(DONE))
      wrong.push(`exchange ${n} leaves the source with ${JSON.stringify(sources[id])}`);
  return { wrong, cuts };
}

describe('an exchange of two processes', () => {
  let whole: Exchange;
  beforeAll(async () => {
    const [id = 0] = await make(1);
    whole = await exchange(id, () => undefined);
  });

  it('has every message but pieces, and less than 8 KiB', () => {
    expect(whole.wrong).toEqual([]);
    const all = Object.keys(MESSAGES).filter((type) => type !== 'piece');
    expect([...whole.types].sort()).toEqual(all.sort());
    expect(whole.passed.toClient + whole.passed.toServer).toBeLessThan(8 * 1024);
  });

  it.each([
    ['server', 'toClient', 'cutAfterBytes'],
    ['client', 'toServer', 'cutToServerAfterBytes'],
  ] as const)(
    'survives a cut after every byte of the %s',
    async (_, direction, name) => {
      const count = whole.passed[direction];
      const { wrong, cuts } = await exchanges(count, (n, proxy) => {
        proxy.cutsOnce = true;
        proxy[name] = n + 1;
      });
      expect(wrong).toEqual([]);
      // How many heartbeats there are is a matter of time.
      expect(cuts).toBeGreaterThan(count * 0.8);
    },
    LIMIT_MS,
  );

  it(
    'survives a connection that drips, byte by byte',
    async () => {
      const { wrong } = await exchanges(AT_ONCE, (_, proxy) => {
        proxy.dripBytes = 1;
        proxy.delayMs = 1;
      });
      expect(wrong).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'survives a connection on which everything is late',
    async () => {
      const { wrong } = await exchanges(AT_ONCE, (n, proxy) => {
        proxy.delayMs = 10 + 5 * n;
      });
      expect(wrong).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'survives a connection that stalls for a while, or until it is given up',
    async () => {
      const { wrong } = await exchanges(2 * AT_ONCE, (n, proxy) => {
        proxy.stallAfterBytes = 150 + 40 * n;
        // The subscriber gives up what it hears nothing of after two and a half heartbeats.
        setTimeout(() => proxy.resume(), n % 2 === 0 ? 100 : 1_000);
      });
      expect(wrong).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'survives a connection that swallows everything',
    async () => {
      const { wrong } = await exchanges(2 * AT_ONCE, (n, proxy) => {
        const from = setTimeout(() => {
          proxy.blackhole = true;
        }, 5 * n);
        setTimeout(
          () => {
            clearTimeout(from);
            proxy.blackhole = false;
            // What was swallowed is not made up for.
            proxy.cut();
          },
          5 * n + 400,
        );
      });
      expect(wrong).toEqual([]);
    },
    LIMIT_MS,
  );
});
