import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lmdb } from '../../src/drivers/lmdb/index.ts';
import { json } from '../../src/index.ts';
import type { RedisServer } from '../../test/support/redis-server.ts';
import {
  type OpenPeer,
  openPeers,
  type Peer,
  type Sample,
  sample,
  tieredPeer,
} from '../lib/peers.ts';
import { startOrSkip } from '../lib/redis-or-skip.ts';
import type { Report, Suite } from '../lib/row.ts';

const WARM = 100;
const MISSES = 20;
const WRITES = 20;
/** A call that has not ended by then hangs. */
const PATIENCE_MS = 4_000;
const PAUSE_MS = 5_000;
const RECOVERY_MS = 20_000;
/** The server keeps every write that it has answered. */
const KEEPING = ['--appendonly', 'yes', '--appendfsync', 'always'];

const warm = Array.from({ length: WARM }, (_, i) => `warm:${i}`);

interface Ended {
  readonly outcome: 'ok' | 'failed' | 'hung';
  readonly tookMs: number;
}

/** How a call ends, watched for so long. */
async function watched(call: () => Promise<unknown>): Promise<Ended> {
  const start = performance.now();
  const late = sleep(PATIENCE_MS, 'hung' as const, { ref: false });
  const done = (async () => call())().then(
    () => 'ok' as const,
    () => 'failed' as const,
  );
  const outcome = await Promise.race([done, late]);
  return { outcome, tookMs: performance.now() - start };
}

const count = (ended: readonly Ended[], outcome: Ended['outcome']): number =>
  ended.filter((one) => one.outcome === outcome).length;
const slowest = (ended: readonly Ended[]): number => Math.max(...ended.map(({ tookMs }) => tookMs));

/** One library through one outage: the server is stopped, goes on, is killed, and comes back. */
class Ordeal {
  readonly #peer: Peer;
  readonly #report: Report;
  /** The value whose write was acknowledged last, by key. */
  readonly #acknowledged = new Map<string, number>();

  constructor(peer: Peer, report: Report) {
    this.#peer = peer;
    this.#report = report;
  }

  async warmUp(): Promise<void> {
    for (const [i, key] of warm.entries()) await this.#peer.set(key, sample(i));
    for (const key of warm) await this.#peer.get(key);
  }

  /** While the server does not answer. */
  async endure(phase: 'stopped' | 'killed'): Promise<void> {
    const { name, hasFront } = this.#peer;
    const misses = Array.from({ length: MISSES }, (_, i) =>
      watched(() => this.#peer.get(`${phase}:none:${i}`)),
    );
    const writes = Array.from({ length: WRITES }, (_, i) => this.#write(`${phase}:${i}`, i));
    await sleep(200);
    const hits: Ended[] = [];
    for (const key of hasFront ? warm : []) hits.push(await watched(() => this.#peer.get(key)));
    const missed = await Promise.all(misses);
    const written = await Promise.all(writes);
    const cell = (column: string, value: number, unit: string): void =>
      this.#report({ name, column: `${phase}: ${column}`, value, unit });
    if (hits.length > 0) cell('slowest hit', slowest(hits), 'ms');
    cell('misses hung', count(missed, 'hung'), '');
    cell('writes ok', count(written, 'ok'), '');
    cell('failed', count(written, 'failed'), '');
    cell('hung', count(written, 'hung'), '');
  }

  async #write(key: string, id: number): Promise<Ended> {
    const ended = await watched(() => this.#peer.set(key, sample(id)));
    if (ended.outcome === 'ok') this.#acknowledged.set(key, id);
    return ended;
  }

  /** After the server is back: how long until a miss and a write work, and which writes are gone. */
  async takeStock(again: Peer): Promise<void> {
    const { name } = this.#peer;
    let lost = 0;
    for (const [key, id] of this.#acknowledged) {
      const value = await again.get(key).catch(() => undefined);
      if (value?.id !== id) lost++;
    }
    this.#report({ name, column: 'acknowledged', value: this.#acknowledged.size, unit: '' });
    this.#report({ name, column: 'of these lost', value: lost, unit: '' });
  }

  async recover(): Promise<void> {
    const start = performance.now();
    for (let tries = 0; performance.now() - start < RECOVERY_MS; tries++) {
      const ended = await watched(() => this.#peer.set(`back:${tries}`, sample(tries)));
      if (ended.outcome === 'ok' && this.#peer.settle === undefined) break;
      if (this.#peer.settle === undefined) await sleep(50);
      else if ((await watched(() => this.#peer.settle?.() as Promise<unknown>)).outcome === 'ok')
        break;
    }
    const tookMs = performance.now() - start;
    this.#report({ name: this.#peer.name, column: 'works again', value: tookMs, unit: 'ms' });
  }
}

async function run(open: OpenPeer, report: Report): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'stratakv-outage-'));
  let server: RedisServer = await startOrSkip({ args: KEEPING, dir });
  const { url, port } = server;
  const peer = await open(url, 'outage');
  try {
    const ordeal = new Ordeal(peer, report);
    await ordeal.warmUp();
    process.kill(server.pid, 'SIGSTOP');
    await ordeal.endure('stopped');
    process.kill(server.pid, 'SIGCONT');
    await sleep(PAUSE_MS);
    await server.kill('SIGKILL');
    await ordeal.endure('killed');
    server = await startOrSkip({ args: KEEPING, dir, port });
    await ordeal.recover();
    // Another process would see what the server has: so another instance is asked.
    const again = await open(url, 'outage');
    await ordeal.takeStock(again).finally(() => watched(() => again.close()));
  } finally {
    await watched(() => peer.close());
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

function contenders(folder: string): Record<string, OpenPeer> {
  let journals = 0;
  return {
    through: tieredPeer('tiered, through'),
    behind: tieredPeer('tiered, behind', () => ({
      write: 'behind',
      journal: lmdb({ path: join(folder, `journal-${journals++}`), codec: json<Sample>() }),
    })),
    ...openPeers,
  };
}

export const outage: Suite = {
  name: 'outage',
  about: `Redis stopped, killed and restarted; ${MISSES} misses and ${WRITES} writes in each outage; a call hangs that has not ended after ${PATIENCE_MS} ms`,
  alone: true,
  async run(report) {
    const folder = mkdtempSync(join(tmpdir(), 'stratakv-journals-'));
    // What a client library throws behind its caller's back is part of the outcome, not the end of it.
    process.on('unhandledRejection', () => {});
    try {
      for (const open of Object.values(contenders(folder))) await run(open, report);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
