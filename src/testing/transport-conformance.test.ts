/** The suite must notice transports that break their contract. */
import { expect, it } from 'vitest';
import { channelPair, type Transport } from '../sync/index.ts';
import { type CaseFunction, transportConformance } from './index.ts';

type Bug = (good: Transport) => Partial<Transport>;

const changed = (good: Transport, bug: Bug): Transport => ({
  get bufferedBytes() {
    return good.bufferedBytes;
  },
  start: (handlers) => good.start(handlers),
  send: (bytes) => good.send(bytes),
  close: (code, reason) => good.close(code, reason),
  ...bug(good),
});

const sending = (send: (good: Transport, bytes: Uint8Array) => void): Bug => {
  return (good) => ({ send: (bytes) => send(good, bytes) });
};

const BUGS: Readonly<Record<string, { readonly bug: Bug; readonly seenBy: string }>> = {
  'swaps two messages': {
    bug: (good) => {
      let held: Uint8Array | undefined;
      return {
        send: (bytes) => {
          if (bytes[3] === 6) {
            held = bytes;
            return;
          }
          good.send(bytes);
          if (held !== undefined) good.send(held);
          held = undefined;
        },
      };
    },
    seenBy: 'carries messages both ways at once, each once and in order',
  },
  'sends twice': {
    bug: sending((good, bytes) => {
      good.send(bytes);
      if (bytes[3] === 9) good.send(bytes);
    }),
    seenBy: 'carries messages both ways at once, each once and in order',
  },
  'loses empty messages': {
    bug: sending((good, bytes) => {
      if (bytes.length > 0) good.send(bytes);
    }),
    seenBy: 'carries empty messages, and large ones of 1 MiB among small ones',
  },
  'sends all that a view is of': {
    bug: sending((good, bytes) => good.send(new Uint8Array(bytes.buffer))),
    seenBy: 'carries a view as what it shows, and leaves it usable',
  },
  'takes the bytes away': {
    bug: sending((good, bytes) => {
      const copy = bytes.slice();
      structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
      good.send(copy);
    }),
    seenBy: 'carries a view as what it shows, and leaves it usable',
  },
  'hides what waits': {
    bug: () => ({ bufferedBytes: 0 }),
    seenBy: 'shows what a receiver that does not read leaves waiting, and tells of the drain',
  },
  'tells of no drain': {
    bug: (good) => ({ start: (handlers) => good.start({ ...handlers, drain: () => undefined }) }),
    seenBy: 'shows what a receiver that does not read leaves waiting, and tells of the drain',
  },
  'forgets the code': {
    bug: (good) => ({ close: (_, reason) => good.close(1000, reason) }),
    seenBy: 'tells every code that the protocol uses',
  },
  'tells of the end from inside close': {
    bug: (good) => {
      let tell: ((how: { code: number; reason: string }) => void) | undefined;
      return {
        start: (handlers) => {
          tell = handlers.close;
          good.start({ ...handlers, close: (how) => tell?.(how) });
        },
        close: (code, reason) => {
          tell?.({ code, reason });
          tell = undefined;
          good.close(code, reason);
        },
      };
    },
    seenBy: 'tells both ends when the near one closes, with code and reason, once',
  },
  'throws after the end': {
    bug: (good) => {
      let ended = false;
      return {
        send: (bytes) => {
          if (ended) throw new Error('it is closed');
          good.send(bytes);
        },
        close: (code, reason) => {
          ended = true;
          good.close(code, reason);
        },
      };
    },
    seenBy: 'drops what is sent after the end, without an error',
  },
  'goes on delivering after its close': {
    bug: (good) => {
      let hear: ((bytes: Uint8Array) => void) | undefined;
      return {
        start: (handlers) => {
          hear = handlers.message;
          good.start(handlers);
        },
        close: (code, reason) => {
          good.close(code, reason);
          queueMicrotask(() => queueMicrotask(() => hear?.(new Uint8Array(4))));
        },
      };
    },
    seenBy: 'delivers nothing to the end that closes',
  },
};

function casesOf(bug: Bug): Map<string, CaseFunction> {
  const cases = new Map<string, CaseFunction>();
  transportConformance({
    test: (name, run) => void cases.set(name.replace(/^[a-z]+: /, ''), run),
    factory: {
      listen: (accept) => ({
        connector: {
          connect: () => {
            const [near, far] = channelPair();
            accept(changed(far, bug));
            return changed(near, bug);
          },
        },
      }),
    },
  });
  return cases;
}

it.each(Object.entries(BUGS))('notices a transport that %s', async (_, { bug, seenBy }) => {
  const run = casesOf(bug).get(seenBy);
  expect(run).toBeDefined();
  await expect(run?.()).rejects.toThrow();
});

it('refuses what is no factory and no runner', () => {
  for (const options of [
    {},
    { test: it },
    { test: it, factory: {} },
    { test: 1, factory: { listen() {} } },
  ])
    expect(() => transportConformance(options as never)).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
});
