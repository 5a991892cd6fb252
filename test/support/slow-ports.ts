/** Connections to Redis between whose commands something happens. */
import type { RedisPort, RedisPorts, RedisWord } from '../../src/drivers/redis/port.ts';

/** Runs before a command is sent; what is sent after it waits. */
export type Before = (words: readonly RedisWord[]) => Promise<void>;

/** Connections on which others get a chance between two commands. */
export function slowPorts(ports: RedisPorts, before: Before): RedisPorts {
  return {
    ...ports,
    async connect(connectTimeoutMs) {
      const port = await ports.connect(connectTimeoutMs);
      let turn: Promise<unknown> = Promise.resolve();
      const slow: RedisPort = {
        get ready() {
          return port.ready;
        },
        send(words) {
          const sent = turn.then(() => before(words)).then(() => ({ reply: port.send(words) }));
          turn = sent.catch(() => undefined);
          return sent.then(({ reply }) => reply);
        },
        subscribe: (...args) => port.subscribe(...args),
        onEnd: (fn) => port.onEnd(fn),
        disconnect: () => port.disconnect(),
      };
      return slow;
    },
  };
}
