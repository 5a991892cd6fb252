/**
 * A process that serves a memory store to any number of subscribers, so many of which may read for
 * themselves at once; it writes, and measures itself, when told to.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { memory } from '../../src/drivers/memory/index.ts';
import { publish } from '../../src/sync/index.ts';
import { serveWebSocket } from '../../src/sync/node.ts';
import { type Load, type Measured, TIMED_KEY } from './loaded-server-orders.ts';

const PATIENT_MS = 300_000;
const store = memory<Uint8Array>();
const publication = publish(store, {
  limits: {
    readings: Number(process.argv[2]),
    historyBytes: 1024 * 1024,
    // On a busy machine everything takes long; nobody is to be ended for that.
    heartbeatMs: PATIENT_MS / 10,
    handshakeTimeoutMs: PATIENT_MS,
    ackTimeoutMs: PATIENT_MS,
    progressTimeoutMs: PATIENT_MS,
    turnTimeoutMs: PATIENT_MS,
  },
});
const service = await serveWebSocket({ publication, port: 0 });
let peakBytes = 0;
let longestTurnMs = 0;
let mostReading = 0;
let beganMs = cpuMs();
setInterval(() => {
  const { reading, comparing } = publication.status().connections;
  mostReading = Math.max(mostReading, reading + comparing);
}, 5);
setInterval(() => {
  peakBytes = Math.max(peakBytes, usedBytes());
  longestTurnMs = Math.max(longestTurnMs, cpuMs() - beganMs);
  beganMs = cpuMs();
}, 1);

/** Work of this thread: other processes on a busy machine do not count. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

function usedBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function write({ keys, bytes, rounds, pauseMs }: Load): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < keys; i += 1_000) {
      const count = Math.min(1_000, keys - i);
      await store.setMany(
        Array.from({ length: count }, (_, at) => [`key:${i + at}`, new Uint8Array(bytes)]),
      );
    }
    const timed = new BigUint64Array([process.hrtime.bigint()]);
    await store.set(TIMED_KEY, new Uint8Array(timed.buffer));
    await sleep(pauseMs);
  }
}

async function measured(): Promise<Measured> {
  const soFar = { peakBytes, longestTurnMs, mostReading };
  globalThis.gc?.();
  await sleep(20);
  globalThis.gc?.();
  const answer = {
    port: service.port,
    liveBytes: usedBytes(),
    ...soFar,
    status: publication.status(),
  };
  peakBytes = 0;
  longestTurnMs = 0;
  mostReading = 0;
  return answer;
}

process.on('message', async (load: Load) => {
  await write(load);
  process.send?.(await measured());
});
process.once('disconnect', () => process.exit());
process.send?.(await measured());
