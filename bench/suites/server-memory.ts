import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../lib/child.ts';
import { NotHere, type Suite } from '../lib/row.ts';
import type { SyncServerCalls } from '../programs/sync-server.ts';
import type { SyncSubscriberCalls } from '../programs/sync-subscribers.ts';

const KEYS = 1_000_000;
const VALUE_BYTES = 100;
const ROUNDS = 3;
const SAMPLE_EVERY_MS = 5;
const MB = 1_000_000;

/** Anonymous memory of a process: its heap and buffers, without the files it has mapped. */
function anonymousBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const line = /^RssAnon:\s+(\d+) kB$/m.exec(status);
  if (line === null) throw new NotHere('this kernel does not tell RssAnon');
  return Number(line[1]) * 1024;
}

/** The most that a process has while something goes on. */
async function peakWhile(pid: number, something: Promise<unknown>): Promise<number> {
  let peak = anonymousBytes(pid);
  let over = false;
  const ended = something.finally(() => {
    over = true;
  });
  while (!over) {
    await Promise.race([ended, sleep(SAMPLE_EVERY_MS)]);
    peak = Math.max(peak, anonymousBytes(pid));
  }
  await ended;
  return peak;
}

export const serverMemory: Suite = {
  name: 'server-memory',
  about: `memory that a server takes to stream ${KEYS.toLocaleString('en')} keys of ${VALUE_BYTES} B to a new subscriber`,
  async run(report) {
    if (process.platform !== 'linux')
      throw new NotHere('only Linux tells the anonymous memory of a process');
    await using server = new Child<SyncServerCalls>('sync-server');
    const url = await server.call('url');
    await server.call('fill', KEYS, 0, VALUE_BYTES);
    let worst = 0;
    let before = 0;
    for (let round = 0; round < ROUNDS; round++) {
      await server.call('collectGarbage');
      const start = anonymousBytes(server.pid);
      await using subscriber = new Child<SyncSubscriberCalls>('sync-subscribers');
      const peak = await peakWhile(server.pid, subscriber.call('subscribe', url, 1));
      await subscriber.call('verify', KEYS, 0, VALUE_BYTES);
      if (peak - start < worst) continue;
      worst = peak - start;
      before = start;
    }
    report({
      name: `most memory added, of ${ROUNDS} subscribers`,
      value: worst / MB,
      unit: 'MB',
      against: 'the server before',
      reference: before / MB,
      ratio: before / worst,
      goal: { of: 'value', most: 64 },
    });
  },
};
