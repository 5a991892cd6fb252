import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import { publish } from './index.ts';
import { serveWebSocket } from './node.ts';

/** The first line of the answer to an upgrade, once the connection has ended. */
function upgrade(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text.split('\r\n', 1)[0] ?? ''));
    socket.write(
      `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`,
    );
  });
}

it('an upgrade that nobody takes is refused on a server of the application too', async () => {
  const store = memory<Uint8Array>();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const service = await serveWebSocket({ publication: publish(store), server, path: '/sync' });
  const { port } = server.address() as AddressInfo;
  try {
    expect(await upgrade(port, '/other')).toBe('HTTP/1.1 404 Not Found');
    expect(await upgrade(port, '/sync/%zz')).toBe('HTTP/1.1 400 Bad Request');
    const others: string[] = [];
    server.on('upgrade', ({ url = '' }, socket) => {
      if (url !== '/theirs') return;
      others.push(url);
      socket.end('HTTP/1.1 200 Taken\r\n\r\n');
    });
    expect(await upgrade(port, '/theirs')).toBe('HTTP/1.1 200 Taken');
    expect(others).toEqual(['/theirs']);
  } finally {
    await service.close();
    server.closeAllConnections();
    server.close();
    await store.close();
  }
}, 5_000);
