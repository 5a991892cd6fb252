import { memory } from '../../src/drivers/memory/index.ts';
import { defineStore } from '../../src/store/define-store.ts';
import { cursorExpired } from '../../src/store/feed/cursor.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { Feed } from '../../src/store/primitives.ts';
import type { Store } from '../../src/store/store.ts';
import { type Connector, channelPair, publish, subscribe } from '../../src/sync/index.ts';
import type { Report } from '../lib/row.ts';

const KEYS = 100_000;
const VALUE_BYTES = 100;
/** Differences, and the most bytes that they may cost. */
const CASES: readonly (readonly [differences: number, most: number])[] = [
  [0, 2_000],
  [10, 30_000],
  [1_000, 700_000],
  [10_000, 3_500_000],
];

/** The same store as one that has entered another epoch: nobody can resume. */
function inAnotherEpoch(store: Store<Uint8Array>): Store<Uint8Array> {
  const { blocking: _, ...inside } = primitivesOf(store);
  const feed = inside.feed as Feed<Uint8Array>;
  return defineStore<Uint8Array>({
    ...inside,
    feed: {
      state: async (call) => {
        const state = await feed.state(call);
        return { ...state, head: { ...state.head, epoch: 'restored' } };
      },
      read: async function* (after, call) {
        if (after !== undefined && after.epoch !== 'restored')
          throw cursorExpired('watch', after, 'it belongs to another epoch of the store');
        const { head } = await feed.state(call);
        for await (const { changes, end } of feed.read(
          after && { ...after, epoch: head.epoch },
          call,
        ))
          yield { changes, ...(end && { end: { ...end, epoch: 'restored' } }) };
      },
      wait: async (after, call) => {
        const { head } = await feed.state(call);
        await feed.wait(after && { ...after, epoch: head.epoch }, call);
      },
      epochOf: (rev) => feed.epochOf(rev),
    },
  });
}

/** Bytes, both ways, until a copy that cannot resume has caught up. */
export async function reconcile(report: Report): Promise<void> {
  for (const [differences, most] of CASES) {
    const source = memory<Uint8Array>();
    for (let start = 0; start < KEYS; start += 1_000)
      await source.setMany(
        Array.from({ length: 1_000 }, (_, n) => [`key:${start + n}`, new Uint8Array(VALUE_BYTES)]),
      );
    const copy = memory<Uint8Array>();
    const first = subscribe(lineTo(source), copy);
    await first.ready;
    const whole = first.status().receivedBytes + first.status().sentBytes;
    await first.close();
    for (let n = 0; n < differences; n++) {
      const key = `key:${(n * 7_919) % KEYS}`;
      if (n % 10 === 0) await source.delete(key);
      else await source.set(key, new Uint8Array(VALUE_BYTES).fill(1));
    }
    const second = subscribe(lineTo(inAnotherEpoch(source)), copy);
    await second.ready;
    const { receivedBytes, sentBytes, reconciles } = second.status();
    if (reconciles !== 1) throw new Error('it was not compared');
    await verify(source, copy);
    await second.close();
    const bytes = receivedBytes + sentBytes;
    report({
      name: `another epoch, ${differences.toLocaleString('en')} differences among ${KEYS.toLocaleString('en')} keys`,
      value: bytes,
      unit: 'message bytes',
      against: 'initial sync',
      reference: whole,
      ratio: whole / bytes,
      goal: { of: 'value', most },
    });
    await Promise.all([source.close(), copy.close()]);
  }
}

function lineTo(store: Store<Uint8Array>): Connector {
  const publication = publish(store);
  return {
    connect: () => {
      const [here, there] = channelPair();
      publication.accept(there);
      return here;
    },
  };
}

async function verify(source: Store<Uint8Array>, copy: Store<Uint8Array>): Promise<void> {
  const held = copy.list()[Symbol.asyncIterator]();
  for await (const { key, value } of source.list()) {
    const next = await held.next();
    if (next.done || next.value.key !== key || Buffer.compare(next.value.value, value) !== 0)
      throw new Error(`the copy differs at ${key}`);
  }
  if ((await held.next()).done !== true) throw new Error('the copy has too much');
}
