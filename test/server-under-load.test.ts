import { type ChildProcess, fork } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { memory } from '../src/drivers/memory/index.ts';
import { subscribe, webSocket } from '../src/sync/index.ts';
import { type Load, type Measured, TIMED_KEY } from './support/loaded-server-orders.ts';
import { RawSubscriber } from './support/raw-subscriber.ts';

const MB = 1_000_000;
const nothing: Load = { keys: 0, bytes: 0, rounds: 0, pauseMs: 0 };
/** Work between two turns of the event loop, a collection of garbage included. */
const LONGEST_TURN_MS = 400;

const opened: (() => void)[] = [];
afterEach(() => {
  for (const close of opened.splice(0)) close();
});

class Server {
  readonly #child: ChildProcess;
  readonly started: Promise<Measured>;

  constructor() {
    const program = new URL('./support/loaded-server.ts', import.meta.url);
    this.#child = fork(program, { execArgv: ['--expose-gc'] });
    opened.push(() => this.#child.kill('SIGKILL'));
    this.started = this.#answer();
  }

  /** Writes, then measures. */
  load(load: Load): Promise<Measured> {
    const answer = this.#answer();
    this.#child.send(load);
    return answer;
  }

  #answer(): Promise<Measured> {
    return new Promise((resolve, reject) => {
      this.#child.once('message', (message) => resolve(message as Measured));
      this.#child.once('exit', (code, signal) => reject(new Error(`ended: ${signal ?? code}`)));
    });
  }
}

/** A subscriber that notes how long each timed write took to reach it. */
async function healthySubscriber(url: string): Promise<number[]> {
  const tookMs: number[] = [];
  const subscription = subscribe(webSocket(url), memory<Uint8Array>());
  opened.push(() => void subscription.close());
  await subscription.ready;
  subscription.onChange(TIMED_KEY, ({ value }) => {
    const atNs = new BigUint64Array((value as Uint8Array).slice().buffer)[0] as bigint;
    tookMs.push(Number(process.hrtime.bigint() - atNs) / 1e6);
  });
  return tookMs;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

describe('a server under load, over real sockets', () => {
  it('spends at most 10 MB on 100 readers that stop reading, and delays nobody else', async () => {
    const server = new Server();
    const { port } = await server.started;
    const url = `ws://127.0.0.1:${port}`;
    await server.load({ keys: 4_000, bytes: 2_000, rounds: 1, pauseMs: 0 });
    const tookMs = await healthySubscriber(url);
    const writing: Load = { keys: 1_000, bytes: 2_000, rounds: 12, pauseMs: 20 };
    await server.load(writing);
    const alone = await server.load(writing);
    const aloneMs = median(tookMs.splice(0));

    const readers = Array.from({ length: 100 }, () => new RawSubscriber(url));
    opened.push(() => {
      for (const reader of readers) reader.close();
    });
    // Half of them stop in the middle of the snapshot, half after it.
    await Promise.all(
      readers.map(async (reader, at) => {
        await (at % 2 === 0 ? reader.begun : reader.synced);
        reader.stop();
      }),
    );
    const stopped = await server.load(writing);
    const later = await server.load(writing);
    const { connections, endings } = later.status;
    const connected = Object.values(connections).reduce((sum, count) => sum + count, 0);
    // Those who waited for a turn got it: who held one and took nothing in was ended.
    expect(connections.waiting).toBe(0);
    expect(connected + (endings['no-progress'] ?? 0)).toBe(101);
    expect(connections.blocked).toBeGreaterThan(60);
    for (const { liveBytes, longestTurnMs } of [stopped, later]) {
      expect(liveBytes - alone.liveBytes).toBeLessThan(10 * MB);
      expect(longestTurnMs).toBeLessThan(LONGEST_TURN_MS);
    }
    // Each value arrives, or a later one instead of it, and none late.
    expect(tookMs.length).toBeGreaterThan(3);
    expect(median(tookMs)).toBeLessThan(aloneMs * 4 + 250);
    expect(Math.max(...tookMs)).toBeLessThan(5_000);
  }, 60_000);

  it('takes a storm of 1,000 subscribers at once, in bounded memory and turns', async () => {
    const server = new Server();
    const { port } = await server.started;
    const url = `ws://127.0.0.1:${port}`;
    await server.load({ keys: 2_000, bytes: 100, rounds: 1, pauseMs: 0 });
    const tookMs = await healthySubscriber(url);
    const before = await server.load(nothing);
    const readers = Array.from({ length: 1_000 }, () => new RawSubscriber(url));
    opened.push(() => {
      for (const reader of readers) reader.close();
    });
    const during = server.load({ keys: 100, bytes: 100, rounds: 20, pauseMs: 50 });
    await Promise.all(readers.map(({ synced }) => synced));
    const { peakBytes, longestTurnMs } = await during;
    const after = await server.load(nothing);
    expect(after.status).toMatchObject({ accepted: 1_001, endings: {}, bufferedBytes: 0 });
    expect(after.status.connections).toMatchObject({ live: 1_001, waiting: 0 });
    // Without turns it is 240 MB and 590 ms.
    expect(peakBytes - before.liveBytes).toBeLessThan(180 * MB);
    expect(longestTurnMs).toBeLessThan(LONGEST_TURN_MS);
    expect(Math.max(...tookMs)).toBeLessThan(5_000);
  }, 60_000);
});
