import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket as PlainWebSocket } from 'ws';
import { bytes, words } from '../../test/support/bytes.ts';
import { contents } from '../../test/support/sync-world.ts';
import { TcpProxy } from '../../test/support/tcp-proxy.ts';
import { memory } from '../drivers/memory/index.ts';
import {
  hub,
  type PublishLimits,
  publish,
  type Subscription,
  subscribe,
  webSocket,
} from './index.ts';
import { serveWebSocket, type WebSocketService } from './node.ts';

/** What a test has opened, closed again in reverse. */
const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

function closing<T extends { close(): unknown }>(what: T): T {
  opened.push(() => what.close());
  return what;
}

async function proxied(port: number): Promise<TcpProxy> {
  const proxy = await TcpProxy.start(port);
  opened.push(() => proxy.stop());
  return proxy;
}

async function serve(limits: PublishLimits = {}): Promise<{
  store: ReturnType<typeof memory<Uint8Array>>;
  publication: ReturnType<typeof publish>;
  service: WebSocketService;
}> {
  const store = memory<Uint8Array>();
  const publication = publish(store, {
    limits,
    authorize: ({ token }) => token === 'secret' && { read: true, write: true },
  });
  return { store, publication, service: closing(await serveWebSocket({ publication, port: 0 })) };
}

function joining(url: string, more: Parameters<typeof subscribe<Uint8Array>>[2] = {}) {
  const local = memory<Uint8Array>();
  const subscription = closing(
    subscribe(webSocket(url), local, {
      token: 'secret',
      reconnect: { baseMs: 5, capMs: 50 },
      ...more,
    }),
  );
  return { local, subscription };
}

const settles = (subscription: Subscription<Uint8Array>, rev: number) =>
  expect.poll(() => subscription.status().rev, { timeout: 15_000, interval: 5 }).toBe(rev);

describe('over WebSocket', () => {
  it('replicates both ways', async () => {
    const { store, service } = await serve();
    await store.set('a', bytes('1'));
    const { local, subscription } = joining(service.url);
    await subscription.ready;
    await store.set('b', bytes('2'));
    await subscription.remote.set('c', bytes('3'));
    expect(await contents(local)).toEqual({ a: '1', b: '2', c: '3' });
    const big = new Uint8Array(2_500_000).fill(7);
    await subscription.remote.set('big', big);
    expect((await store.get('big'))?.length).toBe(big.length);
    expect((await local.get('big'))?.length).toBe(big.length);
  });

  it('resumes 10 changes among 100,000 keys in under 16 KiB of socket bytes', async () => {
    const { store, service } = await serve();
    for (let i = 0; i < 100; i++)
      await store.setMany(
        Array.from({ length: 1_000 }, (_, j) => [`key:${i * 1_000 + j}`, bytes(`value ${j}`)]),
      );
    const proxy = await proxied(service.port);
    const { local, subscription } = joining(`ws://127.0.0.1:${proxy.port}/`);
    await subscription.ready;
    proxy.down = true;
    proxy.cut();
    for (let i = 0; i < 10; i++) await store.set(`key:${i * 9_999}`, bytes(`new ${i}`));
    const before = { ...proxy.passed };
    proxy.down = false;
    await settles(subscription, 110);
    const passed = { ...proxy.passed };
    const cost = passed.toClient - before.toClient + passed.toServer - before.toServer;
    expect(cost).toBeLessThan(16 * 1024);
    expect(subscription.status()).toMatchObject({ snapshots: 1, resumes: 1 });
    expect(words(await local.get('key:9999'))).toBe('new 1');
  });

  it('survives cuts in the middle of everything: whole groups or nothing', async () => {
    const { store, service } = await serve({ batchBytes: 2_000 });
    const round = (n: number): Promise<unknown> =>
      store.setMany(Array.from({ length: 60 }, (_, i) => [`key:${i}`, bytes(`${n} `.repeat(20))]));
    await round(0);
    const proxy = await proxied(service.port);
    const { local, subscription } = joining(`ws://127.0.0.1:${proxy.port}/`);
    await subscription.ready;
    const end = new AbortController();
    opened.push(() => end.abort());
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { writes } of local.watch({ signal: end.signal })) {
        const values = new Set(
          writes.map((write) => (write.type === 'set' ? words(write.value) : '')),
        );
        seen.push(`${writes.length} keys, ${values.size} values`);
      }
    })();
    watching.catch(() => undefined);
    for (let n = 1; n <= 40; n++) {
      // Somewhere in the handshake, in a head, in a body, between two frames.
      proxy.cutAfterBytes = 100 + n * 197;
      proxy.cut();
      await round(n);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    proxy.cutAfterBytes = Number.POSITIVE_INFINITY;
    proxy.cut();
    await settles(subscription, 41);
    expect(await contents(local)).toEqual(await contents(store));
    expect(new Set(seen)).toEqual(new Set(['60 keys, 1 values']));
  });

  it('notices within a few heartbeats that the other side is gone without a word', async () => {
    const { store, publication, service } = await serve({ heartbeatMs: 50, ackTimeoutMs: 150 });
    const proxy = await proxied(service.port);
    const { subscription } = joining(`ws://127.0.0.1:${proxy.port}/`);
    await subscription.ready;
    proxy.blackhole = true;
    await store.set('a', bytes('1'));
    await expect.poll(() => subscription.status().connected, { timeout: 10_000 }).toBe(false);
    await expect
      .poll(() => publication.stats().endings['no-progress'], { timeout: 10_000 })
      .toBeGreaterThan(0);
    proxy.blackhole = false;
    proxy.cut();
    await settles(subscription, 1);
  });

  it('goes on after the server was killed and started again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stratakv-sync-'));
    opened.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'store.db');
    const program = new URL('../../test/support/sync-server.ts', import.meta.url);
    const start = async (port = 0): Promise<{ child: ChildProcess; port: number }> => {
      const child = fork(program, [path, String(port)]);
      opened.push(() => child.kill('SIGKILL'));
      const started = await new Promise<{ port: number }>((resolve) =>
        child.once('message', (message) => resolve(message as { port: number })),
      );
      return { child, port: started.port };
    };
    const write = (child: ChildProcess, key: string, text?: string): Promise<unknown> =>
      new Promise((resolve) => {
        child.once('message', resolve);
        child.send({ key, text });
      });
    const first = await start();
    for (let i = 0; i < 50; i++) await write(first.child, `key:${i}`, `value ${i}`);
    const { local, subscription } = joining(`ws://127.0.0.1:${first.port}/`);
    await subscription.ready;
    await subscription.remote.set('written', bytes('through'));
    first.child.kill('SIGKILL');
    await expect.poll(() => subscription.status().connected).toBe(false);
    const second = await start(first.port);
    await write(second.child, 'key:1', 'changed');
    await write(second.child, 'key:2');
    await expect
      .poll(async () => words(await local.get('key:1')), { timeout: 10_000 })
      .toBe('changed');
    await expect.poll(() => local.has('key:2')).toBe(false);
    expect(words(await local.get('written'))).toBe('through');
    // The same store on disk: what is there already did not travel again.
    expect(subscription.status()).toMatchObject({ snapshots: 1, resumes: 1 });
    await subscription.remote.set('key:2', bytes('back'));
    expect(words(await local.get('key:2'))).toBe('back');
  });

  it('serves a hub by path, and on an HTTP server that is there already', async () => {
    const stores = hub();
    const [notes, users] = [memory<Uint8Array>(), memory<Uint8Array>()];
    await notes.set('a', bytes('note'));
    await users.set('b', bytes('user'));
    stores.register('notes', notes);
    stores.register('üsers', users);
    const server = createServer((_, response) => response.end('the application'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    opened.push(() => server.close());
    const service = closing(await serveWebSocket({ hub: stores, server, path: '/sync' }));
    expect(service.url).toBe(`ws://127.0.0.1:${service.port}/sync`);
    const answer = await fetch(`http://127.0.0.1:${service.port}/`);
    expect(await answer.text()).toBe('the application');
    const byPath = joining(`${service.url}/${encodeURIComponent('üsers')}`);
    const byOption = joining(service.url, { storeId: 'notes' });
    await Promise.all([byPath.subscription.ready, byOption.subscription.ready]);
    expect(await contents(byPath.local)).toEqual({ b: 'user' });
    expect(await contents(byOption.local)).toEqual({ a: 'note' });
    const unknown = joining(`${service.url}/nothing`);
    await expect(unknown.subscription.ready).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('lets in only the pages that it knows', async () => {
    const publication = publish(memory<Uint8Array>(), {
      authorize: ({ origin }) => ({ read: origin === undefined || origin.startsWith('https://') }),
    });
    const page = 'https://app.example.com';
    const service = closing(await serveWebSocket({ publication, port: 0, origins: [page] }));
    const from = (origin?: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = new PlainWebSocket(service.url, origin === undefined ? {} : { origin });
        socket.on('open', () => {
          socket.terminate();
          resolve('open');
        });
        socket.on('error', (error) => resolve(error.message));
      });
    expect(await from(page)).toBe('open');
    expect(await from()).toBe('open');
    for (const other of ['https://app.example.com.evil.org', 'http://app.example.com', 'null'])
      expect(await from(other)).toContain('403');
  });

  it('closes on what is no frame of ours, and goes on serving', async () => {
    const { service, publication } = await serve();
    const closed = (send: (socket: PlainWebSocket) => void): Promise<number> =>
      new Promise((resolve) => {
        const socket = new PlainWebSocket(service.url);
        socket.on('open', () => send(socket));
        socket.on('close', (code) => resolve(code));
        socket.on('error', () => undefined);
      });
    expect(await closed((socket) => socket.send('text'))).toBe(1003);
    expect(await closed((socket) => socket.send(new Uint8Array(20_000)))).toBe(1009);
    expect(await closed((socket) => socket.send(new Uint8Array(2_000_000)))).toBe(1009);
    expect(await closed((socket) => socket.send(Uint8Array.of(250)))).toBe(1002);
    const raw = dial(service.port, '127.0.0.1');
    raw.on('error', () => undefined).resume();
    raw.write('GET / HTTP/1.1\r\nUpgrade: nonsense\r\nConnection: Upgrade\r\n\r\n');
    await new Promise((resolve) => raw.once('close', resolve));
    const answer = await fetch(`http://127.0.0.1:${service.port}/`);
    expect(answer.status).toBe(426);
    const { subscription } = joining(service.url);
    await subscription.ready;
    expect(publication.stats().subscribers).toHaveLength(1);
  });

  it('says what is wrong with a port, an address, a token and an absent server', async () => {
    const { service, publication } = await serve();
    await expect(serveWebSocket({ publication, port: service.port })).rejects.toMatchObject({
      code: 'unavailable',
    });
    for (const options of [
      { publication },
      { port: 0 },
      { publication, port: 70_000 },
      { publication, port: 0, path: 'sync' },
      { publication, port: 0, origins: ['https://a.example/path'] },
      { publication, prt: 0 },
    ])
      await expect(serveWebSocket(options as never)).rejects.toMatchObject({
        code: 'invalid-argument',
      });
    expect(() => webSocket('ftp://host')).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
    const wrong = joining(service.url, { token: 'wrong' });
    await expect(wrong.subscription.ready).rejects.toMatchObject({ code: 'denied' });
    const errors: string[] = [];
    const away = joining('ws://127.0.0.1:9/', {
      timeoutMs: 300,
      onError: (error) => errors.push((error as { code?: string }).code ?? ''),
    });
    await expect(away.subscription.ready).rejects.toMatchObject({ code: 'unavailable' });
    expect(new Set(errors)).toEqual(new Set(['unavailable']));
    const once = joining('ws://127.0.0.1:9/', { reconnect: false });
    await expect(once.subscription.ready).rejects.toMatchObject({ code: 'unavailable' });
    expect(once.subscription.status().state).toBe('closed');
  });
});
