import { availableParallelism } from 'node:os';
import { Child } from '../lib/child.ts';
import { type Comparison, compare } from '../lib/measure.ts';
import type { Report, Suite } from '../lib/row.ts';
import type { SyncServerCalls } from '../programs/sync-server.ts';
import type { SyncSubscriberCalls } from '../programs/sync-subscribers.ts';
import { reconcile } from './reconcile.ts';

const VALUE_BYTES = 100;
const SYNC_KEYS = 100_000;
const UPDATED_KEYS = 50_000;
const SUBSCRIBERS = 20;
/** Processes that share the subscribers: as many as leave a core for the server, two at least. */
const PROCESSES = Math.min(SUBSCRIBERS, Math.max(2, availableParallelism() - 1));
const CHANGES = 10;
const BARE = 'bare ws frames';

type Server = Child<SyncServerCalls>;
type Subscribers = Child<SyncSubscriberCalls>;

/** Every round is a new process, as when a service or a page starts. */
async function initialSync(server: Server, report: Report): Promise<void> {
  const [url, bareUrl] = [await server.call('url'), await server.call('bareUrl')];
  await server.call('fill', SYNC_KEYS, 1, VALUE_BYTES);
  await server.call('bareFill', SYNC_KEYS, 1, VALUE_BYTES);
  const result = await compare([
    {
      name: 'sync',
      operations: SYNC_KEYS,
      run: () =>
        inNewProcess(async (subscriber) => {
          const tookMs = await subscriber.call('subscribe', url, 1);
          await subscriber.call('verify', SYNC_KEYS, 1, VALUE_BYTES);
          return tookMs;
        }),
    },
    {
      name: BARE,
      operations: SYNC_KEYS,
      run: () =>
        inNewProcess(async (subscriber) => {
          const tookMs = await subscriber.call('bareSubscribe', bareUrl, 1);
          await subscriber.call('bareVerify', SYNC_KEYS, 1, VALUE_BYTES);
          return tookMs;
        }),
    },
  ]);
  const name = `initial sync, ${SYNC_KEYS.toLocaleString('en')} keys of ${VALUE_BYTES} B`;
  reportSync(result, name, 'keys/s', 800_000, report);
}

async function inNewProcess(use: (subscribers: Subscribers) => Promise<number>): Promise<number> {
  await using subscribers = new Child<SyncSubscriberCalls>('sync-subscribers');
  return await use(subscribers);
}

async function fanOut(report: Report): Promise<void> {
  await using server = new Child<SyncServerCalls>('sync-server');
  await using subscribers = new Fleet();
  await server.call('fill', UPDATED_KEYS, 0, VALUE_BYTES);
  await server.call('bareFill', UPDATED_KEYS, 0, VALUE_BYTES);
  await subscribers.connect(await server.call('url'), await server.call('bareUrl'));
  const settle = (): Promise<unknown> =>
    Promise.all([
      server.call('collectGarbage'),
      subscribers.all((one) => one.call('collectGarbage')),
    ]);
  const operations = UPDATED_KEYS * SUBSCRIBERS;
  const result = await compare([
    {
      name: 'sync',
      operations,
      run: async (round) => {
        await settle();
        const update = await server.call('update', UPDATED_KEYS, round + 1, VALUE_BYTES);
        const ends = await subscribers.all((one) => one.call('reached', update.rev));
        return Math.max(...ends) - update.startedMs;
      },
      verify: (round) =>
        subscribers.each((one) => one.call('verify', UPDATED_KEYS, round + 1, VALUE_BYTES)),
    },
    {
      name: BARE,
      operations,
      run: async (round) => {
        await settle();
        const startedMs = await server.call('bareUpdate', UPDATED_KEYS, round + 1, VALUE_BYTES);
        const ends = await subscribers.all((one) => one.call('bareReached', round + 2));
        return Math.max(...ends) - startedMs;
      },
      verify: (round) =>
        subscribers.each((one) => one.call('bareVerify', UPDATED_KEYS, round + 1, VALUE_BYTES)),
    },
  ]);
  const name = `updates of ${UPDATED_KEYS.toLocaleString('en')} keys to ${SUBSCRIBERS} subscribers`;
  reportSync(result, name, 'deliveries/s', 1_000_000, report);
}

/** All subscribers, in several processes. */
class Fleet implements AsyncDisposable {
  readonly #processes = Array.from(
    { length: PROCESSES },
    () => new Child<SyncSubscriberCalls>('sync-subscribers'),
  );

  async connect(url: string, bareUrl: string): Promise<void> {
    for (const [at, one] of this.#processes.entries()) {
      const share = sizeOfShare(SUBSCRIBERS, PROCESSES, at);
      await one.call('subscribe', url, share);
      await one.call('bareSubscribe', bareUrl, share);
    }
  }

  all<T>(ask: (one: Subscribers) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#processes.map(ask));
  }

  async each(ask: (one: Subscribers) => Promise<unknown>): Promise<void> {
    await this.all(ask);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.each((one) => one[Symbol.asyncDispose]());
  }
}

/** How many of `total` the part number `at` of `parts` gets. */
function sizeOfShare(total: number, parts: number, at: number): number {
  return Math.floor((total * (at + 1)) / parts) - Math.floor((total * at) / parts);
}

function reportSync(
  result: Comparison,
  name: string,
  unit: string,
  least: number,
  report: Report,
): void {
  report({
    name,
    value: result.rate('sync'),
    unit,
    against: BARE,
    reference: result.rate(BARE),
    ratio: result.ratio('sync', BARE),
    goal: { of: 'value', least },
  });
}

async function resume(server: Server, report: Report): Promise<void> {
  await using subscriber = new Child<SyncSubscriberCalls>('sync-subscribers');
  const url = await server.call('url');
  const before = await server.call('socketBytes');
  await subscriber.call('subscribe', url, 1);
  await subscriber.call('disconnect');
  const synced = await server.call('socketBytes');
  await server.call('update', CHANGES, 2, VALUE_BYTES);
  if ((await subscriber.call('resume', url)) !== 1) throw new Error('it did not resume');
  await subscriber.call('verify', SYNC_KEYS, 1, VALUE_BYTES, CHANGES);
  await subscriber.call('disconnect');
  const bytes = (await server.call('socketBytes')) - synced;
  const whole = synced - before;
  report({
    name: `resume after ${CHANGES} changes among ${SYNC_KEYS.toLocaleString('en')} keys`,
    value: bytes,
    unit: 'socket bytes',
    against: 'initial sync',
    reference: whole,
    ratio: whole / bytes,
    goal: { of: 'value', most: 16 * 1024 },
  });
}

export const syncSuite: Suite = {
  name: 'sync',
  about: 'live replication over loopback WebSocket, memory to memory, each side its own process',
  async run(report) {
    await using server = new Child<SyncServerCalls>('sync-server');
    await initialSync(server, report);
    await resume(server, report);
    await reconcile(report);
    await fanOut(report);
  },
};
