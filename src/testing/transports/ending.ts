import { equal, ok } from '../assert.ts';
import type { TransportCase } from './delivery.ts';
import { Heard, message, pause, sameMessages, until } from './world.ts';

const SENT_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1013, 4500];

/** Connections end: by either side, once, last, with a code and a reason. */
export const ending: readonly TransportCase[] = [
  ...(['near', 'far'] as const).map(
    (side): TransportCase => ({
      name: `tells both ends when the ${side} one closes, with code and reason, once`,
      run: async (world) => {
        const ends = await world.pair();
        const closer = ends[side];
        const other = ends[side === 'near' ? 'far' : 'near'];
        closer.close(1008, 'enough of this');
        closer.close(1000, 'a second call');
        equal(await other.closed(), { code: 1008, reason: 'enough of this' }, 'the other end');
        equal(
          await closer.closed(),
          { code: 1008, reason: 'enough of this' },
          'the end that closed',
        );
        await pause(20);
        closer.wasOrderly();
        other.wasOrderly();
      },
    }),
  ),
  {
    name: 'tells every code that the protocol uses',
    run: async (world) => {
      for (const code of SENT_CODES) {
        const up = await world.pair();
        up.near.close(code, `${code}`);
        equal(await up.far.closed(), { code, reason: `${code}` }, 'closed by the near end');
        const down = await world.pair();
        down.far.close(code, `${code}`);
        equal(await down.near.closed(), { code, reason: `${code}` }, 'closed by the far end');
      }
    },
  },
  {
    name: 'takes a long reason, at least its beginning',
    run: async (world) => {
      for (const side of ['near', 'far'] as const) {
        const ends = await world.pair();
        const reason = 'größer als alles '.repeat(40);
        ends[side].close(1000, reason);
        const how = await ends[side === 'near' ? 'far' : 'near'].closed();
        equal(how.code, 1000, 'the code');
        ok(how.reason.length > 20 && reason.startsWith(how.reason), 'it is how the reason begins');
      }
    },
  },
  {
    name: 'delivers what was sent before the close',
    run: async (world) => {
      for (const side of ['near', 'far'] as const) {
        const ends = await world.pair();
        const sent = Array.from({ length: 40 }, (_, n) => message(n, 10_000));
        ends[side].send(...sent);
        ends[side].close(1000, 'done');
        const other = ends[side === 'near' ? 'far' : 'near'];
        await other.closed();
        sameMessages(other.messages, sent, 'before the end');
        other.wasOrderly();
      }
    },
  },
  {
    name: 'drops what is sent after the end, without an error',
    run: async (world) => {
      const { near, far } = await world.pair();
      near.send(message(1));
      near.close(1000, '');
      near.send(message(2));
      await far.closed();
      await near.closed();
      near.send(message(3));
      far.send(message(4));
      far.close(1000, 'again');
      await pause(20);
      sameMessages(far.messages, [message(1)], 'at the far end');
      sameMessages(near.messages, [], 'at the near end');
      equal(near.transport.bufferedBytes, 0, 'bytes that wait');
      near.wasOrderly();
      far.wasOrderly();
    },
  },
  {
    name: 'delivers nothing to the end that closes',
    run: async (world) => {
      const { near, far } = await world.pair();
      far.send(message(1));
      await near.heard(1);
      far.send(...Array.from({ length: 200 }, (_, n) => message(n, 1_000)));
      near.close(1000, 'enough');
      const count = near.messages.length;
      await near.closed();
      await pause(20);
      equal(near.messages.length, count, 'messages after the close');
    },
  },
  {
    name: 'may be closed from inside a handler',
    run: async (world) => {
      const { near, far } = await world.ends();
      const got: string[] = [];
      far.start({
        message: () => {
          got.push('message');
          far.close(1002, 'not that');
        },
        drain: () => undefined,
        close: () => void got.push('close'),
      });
      const here = new Heard(near);
      here.send(message(1), message(2), message(3));
      equal(await here.closed(), { code: 1002, reason: 'not that' }, 'the near end');
      await until(() => got.length > 1, 'the far end');
      equal(got, ['message', 'close'], 'what the far end was told');
    },
  },
  {
    name: 'delivers what came before it was started, the end too',
    run: async (world) => {
      for (const side of ['near', 'far'] as const) {
        const ends = await world.ends();
        const here = new Heard(ends[side]);
        here.send(message(1), message(2));
        here.close(1001, 'never mind');
        await here.closed();
        await pause(50);
        const there = new Heard(ends[side === 'near' ? 'far' : 'near']);
        equal(await there.closed(), { code: 1001, reason: 'never mind' }, 'the other end');
        sameMessages(there.messages, [message(1), message(2)], 'what came before');
        there.wasOrderly();
      }
    },
  },
];
