import { type ChildProcess, fork } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { memory } from '../src/drivers/memory/index.ts';
import { subscribe, webSocket } from '../src/sync/index.ts';
import { type Load, type Measured, TIMED_KEY } from './support/loaded-server-orders.ts';
import { RawSubscriber } from './support/raw-subscriber.ts';

const MB = 1_000_000;
const nothing: Load = { keys: 0, bytes: 0, rounds: 0, pauseMs: 0 };
/** As many as there are by default, or all at once, as if there were no turns to read. */
const READINGS = 32;
const NO_TURNS = 10_000;
/** Far beyond what a busy machine does by itself. */
const HELD_UP_MS = 15_000;
const TIMEOUT_MS = 180_000;

const opened: (() => void)[] = [];
afterEach(() => {
  for (const close of opened.splice(0)) close();
});

class Server {
  readonly #child: ChildProcess;
  readonly started: Promise<Measured>;

  constructor(readings: number) {
    const program = new URL('./support/loaded-server.ts', import.meta.url);
    this.#child = fork(program, [String(readings)], { execArgv: ['--expose-gc'] });
    opened.push(() => this.end());
    this.started = this.#answer();
  }

  /** Writes, then measures. */
  load(load: Load): Promise<Measured> {
    const answer = this.#answer();
    this.#child.send(load);
    return answer;
  }

  end(): void {
    this.#child.kill('SIGKILL');
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
  const subscription = subscribe(webSocket(url), memory<Uint8Array>(), {
    timeoutMs: TIMEOUT_MS,
    limits: { connectTimeoutMs: TIMEOUT_MS },
  });
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

/** Many subscribers that come at once, and one that was there before; what that costs the server. */
async function storm(
  readings: number,
): Promise<Pick<Measured, 'peakBytes' | 'longestTurnMs' | 'mostReading'>> {
  const server = new Server(readings);
  const { port } = await server.started;
  const url = `ws://127.0.0.1:${port}`;
  await server.load({ keys: 2_000, bytes: 100, rounds: 1, pauseMs: 0 });
  const tookMs = await healthySubscriber(url);
  const before = await server.load(nothing);
  const readers = Array.from({ length: 1_000 }, () => new RawSubscriber(url));
  const during = server.load({ keys: 100, bytes: 100, rounds: 20, pauseMs: 50 });
  await Promise.all(readers.map(({ synced }) => synced));
  const { peakBytes, longestTurnMs, mostReading } = await during;
  const after = await server.load(nothing);
  expect(after.status).toMatchObject({ accepted: 1_001, endings: {}, bufferedBytes: 0 });
  expect(after.status.connections).toMatchObject({ live: 1_001, waiting: 0 });
  expect(Math.max(...tookMs)).toBeLessThan(HELD_UP_MS);
  for (const reader of readers) reader.close();
  server.end();
  return { peakBytes: peakBytes - before.liveBytes, longestTurnMs, mostReading };
}

describe('a server under load, over real sockets', () => {
  it(
    'spends at most 10 MB on 100 readers that stop reading, and delays nobody else',
    async () => {
      const server = new Server(READINGS);
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
      expect(connections.blocked).toBeGreaterThan(50);
      for (const { liveBytes } of [stopped, later])
        expect(liveBytes - alone.liveBytes).toBeLessThan(10 * MB);
      // Each value arrives, or a later one instead of it, and none late: readers stop for good.
      expect(tookMs.length).toBeGreaterThan(3);
      expect(median(tookMs)).toBeLessThan(aloneMs * 10 + 1_000);
      expect(Math.max(...tookMs)).toBeLessThan(HELD_UP_MS);
    },
    TIMEOUT_MS,
  );

  it(
    'takes a storm of 1,000 subscribers at once, and lets few of them read at a time',
    async () => {
      const [bounded, unbounded] = [await storm(READINGS), await storm(NO_TURNS)];
      expect(bounded.mostReading).toBeGreaterThan(0);
      expect(bounded.mostReading).toBeLessThanOrEqual(READINGS);
      expect(unbounded.mostReading).toBeGreaterThan(READINGS);
      // By itself a storm without turns takes more; how much more is a matter of the machine.
      expect(bounded.peakBytes).toBeLessThan(unbounded.peakBytes * 1.5);
      expect(bounded.peakBytes).toBeLessThan(180 * MB);
      expect(bounded.longestTurnMs).toBeLessThan(1_500);
    },
    TIMEOUT_MS,
  );
});
