import { memory } from '../../drivers/memory/index.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import {
  type Connector,
  type Publication,
  type PublishLimits,
  publish,
  type Subscription,
  subscribe,
  type Transport,
} from '../../sync/index.ts';
import { equal, ok } from '../assert.ts';
import { collect, within } from '../conformance/case.ts';
import type { TransportCase } from './delivery.ts';
import { Heard, message, sameMessages, type TransportWorld, until } from './world.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const words = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && new TextDecoder().decode(bytes);

interface Served {
  readonly store: Store<Uint8Array>;
  readonly publication: Publication;
  readonly connector: Connector;
  /** While set, nothing passes on connections in either direction, and nobody is told. */
  silent: boolean;
}

/** A published store behind the transport, whose connections can fall silent. */
async function served(world: TransportWorld, limits: PublishLimits = {}): Promise<Served> {
  const store = memory<Uint8Array>();
  const publication = publish(store, { authorize: () => ({ read: true, write: true }), limits });
  const { connector } = await world.server((far) =>
    publication.accept(muffled(far, () => made.silent)),
  );
  const made: Served = {
    store,
    publication,
    connector: { connect: () => muffled(connector.connect(), () => made.silent) },
    silent: false,
  };
  world.atEnd(() => publication.close({ spreadMs: 0 }));
  return made;
}

/** A transport on a line that may die without a word. */
function muffled(transport: Transport, isSilent: () => boolean): Transport {
  return {
    get bufferedBytes() {
      return transport.bufferedBytes;
    },
    start: (handlers) =>
      transport.start({
        message: (bytes) => {
          if (!isSilent()) handlers.message(bytes);
        },
        drain: () => handlers.drain(),
        close: (how) => {
          if (!isSilent()) handlers.close(how);
        },
      }),
    send: (bytes) => {
      if (!isSilent()) transport.send(bytes);
    },
    close: (code, reason) => transport.close(code, reason),
  };
}

function joined(
  world: TransportWorld,
  { connector }: Pick<Served, 'connector'>,
): { readonly local: Store<Uint8Array>; readonly subscription: Subscription<Uint8Array> } {
  const local = memory<Uint8Array>();
  const subscription = subscribe(connector, local, {
    token: 'any',
    reconnect: { baseMs: 5, capMs: 50 },
    limits: { connectTimeoutMs: 1_000 },
  });
  world.atEnd(() => subscription.close());
  return { local, subscription };
}

async function contents(store: Store<Uint8Array>): Promise<Record<string, string>> {
  const all = await collect(store.list());
  return Object.fromEntries(all.map(({ key, value }) => [key, words(value) ?? '']));
}

const isLive = ({ subscription }: { subscription: Subscription<Uint8Array> }, rev: number) =>
  until(() => subscription.status().rev >= rev, `revision ${rev}`);

/** A server with its clients, and replication over the transport. */
export const serving: readonly TransportCase[] = [
  {
    name: 'serves many connections, each apart from the others, and can tell all of them',
    run: async (world) => {
      const pairs = await Promise.all(Array.from({ length: 12 }, () => world.pair()));
      pairs.forEach(({ near }, n) => {
        near.send(message(n, 100));
      });
      for (const [n, { far }] of pairs.entries())
        sameMessages(await far.heard(1), [message(n, 100)], `of connection ${n}`);
      const shared = message(99, 20_000);
      for (const { far } of pairs) far.send(shared);
      for (const { near } of pairs) sameMessages(await near.heard(1), [shared], 'told to all');
      pairs[3]?.near.close(1000, 'one leaves');
      equal((await pairs[3]?.far.closed())?.reason, 'one leaves', 'the one that leaves');
      for (const [n, { near, far }] of pairs.entries()) {
        if (n === 3) continue;
        far.send(message(n));
        sameMessages((await near.heard(2)).slice(1), [message(n)], 'told after one has left');
        equal(near.closes, [], 'ends');
      }
    },
  },
  {
    name: 'connects again with the same connector',
    run: async (world) => {
      for (let round = 0; round < 3; round++) {
        const { near, far } = await world.pair();
        near.send(message(round));
        sameMessages(await far.heard(1), [message(round)], 'of this round');
        far.close(1001, 'again');
        equal((await near.closed()).code, 1001, 'how it ended');
      }
    },
  },
  {
    name: 'replicates: a snapshot, changes as they happen, writes, listeners',
    run: async (world) => {
      const made = await served(world);
      const large = new Uint8Array(1_500_000).fill(7);
      await made.store.setMany([
        ['a', utf8('1')],
        ['large', large],
      ]);
      const [one, other] = [joined(world, made), joined(world, made)];
      await Promise.all([one.subscription.ready, other.subscription.ready]);
      sameMessages([(await one.local.get('large')) ?? utf8('')], [large], 'the large value');
      const heard: string[] = [];
      const also: string[] = [];
      other.subscription.onChange('', ({ key, deleted }) => void heard.push(`${key} ${deleted}`));
      const stop = other.subscription.onChange('b', ({ key }) => void also.push(key));
      await made.store.delete('large');
      await one.subscription.remote.set('b', utf8('2'));
      await isLive(other, 3);
      stop();
      await made.store.set('bb', utf8('3'));
      await isLive(other, 4);
      await isLive(one, 4);
      equal(await contents(one.local), { a: '1', b: '2', bb: '3' }, 'the copy');
      equal(await contents(other.local), { a: '1', b: '2', bb: '3' }, 'the other copy');
      equal(heard, ['large true', 'b false', 'bb false'], 'what a listener heard');
      equal(also, ['b'], 'what one heard that was removed');
    },
  },
  {
    name: 'ends what is replicated from either side, and resumes',
    run: async (world) => {
      const made = await served(world);
      await made.store.set('a', utf8('1'));
      const one = joined(world, made);
      await one.subscription.ready;
      await one.subscription.close();
      await until(() => made.publication.stats().subscribers.length === 0, 'that it left');
      await made.store.set('b', utf8('2'));
      const again = subscribe(made.connector, one.local, { token: 'any' });
      world.atEnd(() => again.close());
      await again.ready;
      equal(await contents(one.local), { a: '1', b: '2' }, 'the copy');
      equal(again.status().resumes, 1, 'resumes');
      await made.publication.close({ spreadMs: 0 });
      await until(() => !again.status().connected, 'that the server has gone');
    },
  },
  {
    name: 'lets both ends notice by heartbeats that the line is dead, and connect anew',
    run: async (world) => {
      const made = await served(world, { heartbeatMs: 100, ackTimeoutMs: 250 });
      await made.store.set('a', utf8('1'));
      const one = joined(world, made);
      await one.subscription.ready;
      const { connections } = one.subscription.status();
      const startMs = systemEnv.monotonicMs();
      made.silent = true;
      await until(() => !one.subscription.status().connected, 'that the subscriber notices');
      await until(
        () => (made.publication.stats().endings['no-progress'] ?? 0) > 0,
        'that the server notices',
      );
      ok(systemEnv.monotonicMs() - startMs < 5_000, 'they notice soon');
      await made.store.set('a', utf8('2'));
      made.silent = false;
      // An attempt that was made in the silence is given up only later.
      await within(15_000, isSoon(one.subscription, 2), 'the change');
      equal(await contents(one.local), { a: '2' }, 'the copy');
      ok(one.subscription.status().connections > connections, 'it has connected anew');
    },
  },
  {
    name: 'holds a slow end apart from the others',
    run: async (world) => {
      const { near, far } = await world.ends();
      new Heard(near);
      // This one never starts, so it reads nothing.
      for (let n = 0; n < 8; n++) near.send(message(n, 100_000));
      const other = await world.pair();
      other.near.send(message(1));
      sameMessages(await other.far.heard(1), [message(1)], 'of another connection');
      new Heard(far);
    },
  },
];

async function isSoon(subscription: Subscription<Uint8Array>, rev: number): Promise<void> {
  await until(() => subscription.status().rev >= rev, `revision ${rev}`, 15_000);
}
