import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { everything, KEYS, largeWorld, SKEWS } from '../../test/support/large-world.ts';
import { SimulatedLine } from '../../test/support/simulated-line.ts';
import { memory } from '../drivers/memory/index.ts';
import { defineStore } from '../store/define-store.ts';
import type { Env } from '../store/env.ts';
import { primitivesOf } from '../store/internals.ts';
import type { Store } from '../store/store.ts';
import { type PublishOptions, publish, subscribe, type Transport } from './index.ts';

/** The same of how data flows: who waits for whom, what a connection costs, what comes first. */

/** A line on which every frame takes its time. */
function distant(accept: (transport: Transport) => void, env: Env, delayMs: number) {
  const later = (transport: Transport): Transport => ({
    get bufferedBytes() {
      return transport.bufferedBytes;
    },
    start: (handlers) =>
      transport.start({
        ...handlers,
        message: (frame) => void env.setTimer(() => handlers.message(frame), delayMs),
      }),
    send: (frame) => transport.send(frame),
    close: (code, reason) => transport.close(code, reason),
  });
  const line = new SimulatedLine((transport) => accept(later(transport)));
  return { line, connector: { connect: () => later(line.connect()) } };
}

/** A tree of so many blocks under a root; every block and the root carry its number. */
const BLOCKS = 10_000;
const TREES = KEYS / BLOCKS;
const blockOf = (tree: number, i: number): string => `block/${tree}/${i}`;

/** A local store that tells of each tree whose root is there before all of its blocks. */
function watched(env: Env, root: string): { local: Store<Uint8Array>; torn: string[] } {
  const plain = memory<Uint8Array>({ env });
  const torn: string[] = [];
  const inside = primitivesOf(plain);
  const local = defineStore<Uint8Array>({
    ...inside,
    commit: (writes, call) => {
      const done = inside.commit(writes, call);
      const tree = words(plain.blocking.get(root));
      if (tree === undefined) return done;
      for (let i = 0; i < BLOCKS; i++)
        if (words(plain.blocking.get(blockOf(Number(tree), i))) !== tree)
          torn.push(blockOf(Number(tree), i));
      return done;
    },
  });
  return { local, torn };
}

describe.each(SKEWS)(
  'faults that must never happen, with a clock an hour %s:',
  {
    timeout: 60_000,
  },
  (_, skewMs) => {
    it('A16: a subscriber that takes nothing in holds up neither the writer nor others', async () => {
      const { env, wrongEnv, source, local } = await largeWorld(skewMs);
      const publication = publish(source);
      const accept = (transport: Transport): void => publication.accept(transport);
      const [line, stuckLine] = [new SimulatedLine(accept), new SimulatedLine(accept)];
      const stuckLocal = memory<Uint8Array>({ env: wrongEnv });
      stuckLine.hold('down');
      const stuck = subscribe(stuckLine, stuckLocal, { env: wrongEnv });
      const lively = subscribe(line, local, { env: wrongEnv });
      await env.advance(5);
      await lively.ready;
      for (let i = 0; i < 5_000; i++) {
        await source.set(`key:${i % 500}`, bytes(`new ${i}`));
        if (i % 100 === 0) await env.advance(1);
      }
      await env.advance(10);
      expect(lively.status()).toMatchObject({ state: 'live', lag: 0 });
      expect(everything(local)).toEqual(everything(source));
      // What waits for it is within its credit, and nothing is kept beside.
      const { subscribers, historyBytes } = publication.stats();
      expect(Math.max(...subscribers.map(({ sentBytes }) => sentBytes))).toBeLessThan(3_000_000);
      expect(Math.max(...subscribers.map(({ lag }) => lag))).toBeGreaterThan(4_000);
      expect(historyBytes).toBeLessThan(4 * 1024 * 1024);
      stuckLine.release('down');
      await env.advance(100);
      expect(stuck.status()).toMatchObject({ state: 'live', lag: 0 });
      expect(everything(stuckLocal)).toEqual(everything(source));
      await Promise.all([stuck.close(), lively.close()]);
    });

    it('A18: 50,000 keys take a few round trips; a reconnect and a restart cost what has changed', async () => {
      const { env, wrongEnv, source, local } = await largeWorld(skewMs);
      const DELAY_MS = 50;
      let publication = publish(source);
      const accept = (transport: Transport): void => publication.accept(transport);
      const { line, connector } = distant(accept, env, DELAY_MS);
      const options = { env: wrongEnv, reconnect: { baseMs: 10, capMs: 20 } };
      const first = subscribe(connector, local, options);
      let roundTrips = 0;
      for (; first.status().lag > 0 || first.status().rev === 0; roundTrips++)
        await env.advance(2 * DELAY_MS);
      expect(roundTrips).toBeLessThanOrEqual(4);
      const cost = (): number => first.status().receivedBytes + first.status().sentBytes;
      const change = (n: number): Promise<unknown> =>
        source.setMany(
          Array.from({ length: 10 }, (_, i) => [`key:${i * 4_999}`, bytes(`new ${n}`)]),
        );
      // The connection breaks, and nobody does anything about it.
      const before = cost();
      line.cut();
      await change(1);
      await env.advance(1_000);
      expect(first.status()).toMatchObject({ state: 'live', lag: 0, snapshots: 1, resumes: 1 });
      expect(cost() - before).toBeLessThan(2_000);
      await first.close();
      // Both sides start again over what they have stored.
      await publication.close();
      publication = publish(source);
      await change(2);
      const second = subscribe(connector, local, options);
      await env.advance(1_000);
      expect(second.status()).toMatchObject({ state: 'live', lag: 0, snapshots: 0, resumes: 1 });
      expect(second.status().receivedBytes + second.status().sentBytes).toBeLessThan(2_000);
      expect(everything(local)).toEqual(everything(source));
      await second.close();
    });

    it.each<[string, string, PublishOptions<Uint8Array>]>([
      ['before its blocks in the order of keys', 'a root', {}],
      ['behind them', 'z root', {}],
      ['before them, and is walked', 'a root', { walk: { roots: ['a root'], walker: blocksOf } }],
    ])('A19: a root that stands %s never shows what is not there', async (_, root, published) => {
      const { env, wrongEnv, source } = await largeWorld(skewMs, 0);
      const { local, torn } = watched(wrongEnv, root);
      const publication = publish(source, { ...published, limits: { batchKeys: 500 } });
      const line = new SimulatedLine((transport) => publication.accept(transport));
      const subscription = subscribe(line, local, { env: wrongEnv });
      await env.advance(1);
      for (let tree = 0; tree < TREES; tree++) {
        // The third and fourth come as one step, and the last is met half way by a broken connection.
        if (tree === 2) line.hold('down');
        await source.batch([
          { type: 'set', key: root, value: bytes(`${tree}`) },
          ...Array.from({ length: BLOCKS }, (_, i) => ({
            type: 'set' as const,
            key: blockOf(tree, i),
            value: bytes(`${tree}`),
          })),
        ]);
        if (tree === 3) line.release('down');
        if (tree === TREES - 1) {
          line.hold('down');
          await env.advance(1);
          line.release('down', 3);
          await env.advance(1);
          line.cut();
          line.release('down');
        }
        await env.advance(tree === 2 ? 1 : 2_000);
      }
      expect(torn).toEqual([]);
      expect(words(await local.get(root))).toBe(`${TREES - 1}`);
      expect(subscription.status()).toMatchObject({ state: 'live', lag: 0 });
      await subscription.close();
    });
  },
);

function blocksOf(key: string, value: Uint8Array): string[] {
  if (!key.endsWith('root')) return [];
  return Array.from({ length: BLOCKS }, (_, i) => blockOf(Number(words(value)), i));
}
