/** Every transport of Node under the one suite. */
import { createServer, type Server } from 'node:http';
import { describe, it } from 'vitest';
import {
  type TransportFactory,
  type TransportServer,
  transportConformance,
} from '../../testing/index.ts';
import { channelPair, messagePort, type Publication, type Transport, webSocket } from '../index.ts';
import { serveWebSocket } from '../node.ts';

const made = (connect: (accept: (far: Transport) => void) => Transport): TransportFactory => ({
  listen: (accept) => ({ connector: { connect: () => connect(accept) } }),
});

transportConformance({
  test: { describe, it },
  name: 'channelPair',
  factory: made((accept) => {
    const [near, far] = channelPair();
    accept(far);
    return near;
  }),
});

transportConformance({
  test: { describe, it },
  name: 'messagePort',
  factory: made((accept) => {
    const { port1, port2 } = new MessageChannel();
    accept(messagePort(port2));
    return messagePort(port1);
  }),
});

/** Only `accept` of it is asked for. */
const accepting = (accept: (far: Transport) => void): Publication =>
  ({ accept }) as unknown as Publication;

/** On a port of its own, or on a server that is there. */
async function listening(
  accept: (far: Transport) => void,
  server?: Server,
): Promise<TransportServer> {
  const where = server === undefined ? { port: 0 } : { server, path: '/sync' };
  const service = await serveWebSocket({ publication: accepting(accept), ...where });
  return {
    connector: webSocket(service.url),
    close: async () => {
      await service.close();
      server?.close();
    },
  };
}

transportConformance({
  test: { describe, it },
  name: 'webSocket to serveWebSocket',
  factory: { listen: (accept) => listening(accept) },
});

transportConformance({
  test: { describe, it },
  name: 'webSocket to serveWebSocket on a server of the application',
  factory: {
    listen: async (accept) => {
      const server = createServer((_, response) => response.end('the application'));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return listening(accept, server);
    },
  },
});
