import { equal, ok } from '../assert.ts';
import { Heard, message, pause, sameMessages, type TransportWorld, until } from './world.ts';

/** One promise of the transport contract. */
export interface TransportCase {
  readonly name: string;
  run(world: TransportWorld): Promise<void>;
}

const MIB: number = 1024 * 1024;
const numbered = (count: number, bytes?: number): Uint8Array[] =>
  Array.from({ length: count }, (_, n) => message(n, bytes));

/** Messages arrive: whole, in order, each once, in both directions. */
export const delivery: readonly TransportCase[] = [
  {
    name: 'carries messages both ways at once, each once and in order',
    run: async (world) => {
      const { near, far } = await world.pair();
      const up = numbered(2_000, 40);
      const down = numbered(2_000, 60);
      for (let i = 0; i < up.length; i++) {
        near.send(up[i] as Uint8Array);
        far.send(down[i] as Uint8Array);
        if (i % 500 === 0) await pause(0);
      }
      sameMessages(await far.heard(up.length), up, 'at the far end');
      sameMessages(await near.heard(down.length), down, 'at the near end');
      near.wasOrderly();
      far.wasOrderly();
    },
  },
  {
    name: 'answers what it was asked',
    run: async (world) => {
      const { near, far } = await world.ends();
      far.start({
        message: (bytes) => far.send(bytes),
        drain: () => undefined,
        close: () => undefined,
      });
      const here = new Heard(near);
      for (let n = 1; n <= 20; n++) {
        here.send(message(n));
        await here.heard(n);
      }
      sameMessages(here.messages, numbered(21).slice(1), 'the answers');
    },
  },
  {
    name: 'carries empty messages, and large ones of 1 MiB among small ones',
    run: async (world) => {
      const { near, far } = await world.pair();
      const sent = [1, MIB, 5, MIB, 70_000, 125, 126, 65_535, 65_536].map((bytes, n) =>
        message(n, bytes),
      );
      sent.splice(3, 0, new Uint8Array(0));
      near.send(...sent);
      far.send(...sent);
      sameMessages(await far.heard(sent.length), sent, 'at the far end');
      sameMessages(await near.heard(sent.length), sent, 'at the near end');
    },
  },
  {
    name: 'carries a view as what it shows, and leaves it usable',
    run: async (world) => {
      const { near, far } = await world.pair();
      const whole = message(7, 5_000);
      const view = whole.subarray(1_000, 1_100);
      near.send(view, view);
      far.send(view);
      const got = await far.heard(2);
      sameMessages(got, [view, view], 'at the far end');
      sameMessages(await near.heard(1), [view], 'at the near end');
      equal(whole.length, 5_000, 'the bytes that were shown');
      sameMessages([whole], [message(7, 5_000)], 'the bytes that were shown');
    },
  },
  {
    name: 'gives the receiver bytes that stay as they are',
    run: async (world) => {
      const { near, far } = await world.pair();
      const sent = numbered(300, 900);
      near.send(...sent.slice(0, 1));
      await far.heard(1);
      near.send(...sent.slice(1));
      sameMessages(await far.heard(300), sent, 'after all have come');
    },
  },
  {
    name: 'keeps what is sent before the other side has started',
    run: async (world) => {
      const { near, far } = await world.ends();
      const here = new Heard(near);
      here.send(...numbered(50, 100));
      await pause(20);
      const there = new Heard(far);
      sameMessages(await there.heard(50), numbered(50, 100), 'at the far end');
      there.wasOrderly();
    },
  },
  {
    name: 'keeps what is sent before the connection is open',
    run: async (world) => {
      const got: Heard[] = [];
      const { connector } = await world.server((far) => got.push(new Heard(far)));
      const near = new Heard(connector.connect());
      near.send(...numbered(50, 100));
      await until(() => got.length > 0, 'a far end');
      sameMessages(await (got[0] as Heard).heard(50), numbered(50, 100), 'at the far end');
      near.close(1000, '');
      near.wasOrderly();
    },
  },
  {
    name: 'shows what a receiver that does not read leaves waiting, and tells of the drain',
    run: async (world) => {
      const server = await world.server();
      const resume = server.stall?.();
      const { near, far } = await world.ends();
      const there = resume === undefined ? undefined : new Heard(far);
      const here = new Heard(near);
      equal(near.bufferedBytes, 0, 'bytes that wait at first');
      // The system between two processes takes some of it, and on a busy machine takes its time.
      const most = 64;
      let sent = 0;
      let told = 0;
      const waits = async (): Promise<boolean> => {
        if (near.bufferedBytes < 3 * MIB) return false;
        told = here.drains;
        await pause(20);
        return near.bufferedBytes >= 3 * MIB;
      };
      for (; sent < most && !(await waits()); sent++) {
        here.send(message(sent, MIB));
        await pause(5);
      }
      ok(near.bufferedBytes >= 3 * MIB, `3 MiB of ${sent} wait where they can be seen`);
      equal(here.drains, told, 'drains told of while it waits');
      resume?.();
      const reader = there ?? new Heard(far);
      await reader.heard(sent);
      await until(() => near.bufferedBytes < 256 * 1024, 'little waits');
      await until(() => here.drains > told, 'a drain');
      sameMessages(
        reader.messages.map((bytes) => bytes.subarray(0, 4)),
        numbered(sent),
        'in order',
      );
    },
  },
];
