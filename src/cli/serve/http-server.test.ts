import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HttpServer, startHttpServer } from './http-server.ts';
import { hostGuard, sameToken } from './security.ts';
import { loadStaticFiles } from './static-files.ts';

const files = new Map(
  ['/', '/index.html', '/assets/app.js'].map((path) => [
    path,
    { type: 'text/html; charset=utf-8', bytes: Buffer.from(`content of ${path}`) },
  ]),
);

const onError = (error: Error): never => {
  throw error;
};

let http: HttpServer;
beforeAll(async () => {
  http = await startHttpServer({ host: '127.0.0.1', port: 0, files, onError });
  http.server.on('upgrade', (_, socket) => {
    if (!socket.destroyed) socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
  });
});
afterAll(() => http.close());

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port: http.port, path, method, headers },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({
            status: answer.statusCode,
            headers: answer.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      },
    );
    asked.on('error', reject).end();
  });
}

/** The first line of the answer to an upgrade. */
function upgrade(headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(http.port, '127.0.0.1');
    let text = '';
    const lines = Object.entries({ connection: 'upgrade', upgrade: 'websocket', ...headers });
    socket.write(`GET / HTTP/1.1\r\n${lines.map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`);
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('close', () => resolve(text.split('\r\n')[0] ?? ''));
    socket.on('error', reject);
  });
}

describe('the console’s server', () => {
  test('serves its files with headers that keep other sites and copies out', async () => {
    const { status, headers, body } = await ask('/?x=1');
    expect({ status, body }).toEqual({ status: 200, body: 'content of /' });
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
    });
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain(`connect-src 'self' ws://127.0.0.1:${http.port};`);
    expect(policy).not.toContain('unsafe');
  });

  test.each([
    '/nothing',
    '/../package.json',
    '/assets/../index.html',
    '/%2e%2e/x',
    '//index.html',
    '/assets',
    'x',
  ])('has nothing at %s', async (path) => {
    expect((await ask(path)).status).toBe(path === 'x' ? 400 : 404);
  });

  test('answers HEAD without content and no other method', async () => {
    expect(await ask('/', {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
    expect(await ask('/', {}, 'POST')).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    });
  });

  test('answers only requests that mean it: no name that merely points here', async () => {
    const status = async (host: string): Promise<number | undefined> =>
      (await ask('/', { host })).status;
    expect(await status(`localhost:${http.port}`)).toBe(200);
    expect(await status(`[::1]:${http.port}`)).toBe(200);
    for (const host of [
      `evil.example:${http.port}`,
      'localhost',
      `localhost:${http.port + 1}`,
      `x@localhost:${http.port}`,
    ])
      expect(await status(host), host).toBe(403);
  });

  test('lets sockets in from its own page and from programs only', async () => {
    const host = `127.0.0.1:${http.port}`;
    expect(await upgrade({ host })).toContain(' 101 ');
    expect(await upgrade({ host, origin: `http://${host}` })).toContain(' 101 ');
    for (const origin of [
      'null',
      'http://evil.example',
      `https://${host}`,
      `http://localhost:${http.port}`,
      `http://127.0.0.1`,
    ])
      expect(await upgrade({ host, origin }), origin).toContain(' 403 ');
    expect(await upgrade({ host: 'evil.example', origin: 'http://evil.example' })).toContain(
      ' 403 ',
    );
  });

  test('says that its port is in use', async () => {
    await expect(
      startHttpServer({ host: '127.0.0.1', port: http.port, files, onError }),
    ).rejects.toMatchObject({
      code: 'unavailable',
      message: `serve: port ${http.port} of 127.0.0.1 is in use by another program; choose another with --port`,
    });
  });

  test('says that an address is not of this machine', async () => {
    await expect(
      startHttpServer({ host: '192.0.2.1', port: 0, files, onError }),
    ).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });

  test('says where the console is not built', async () => {
    await using stack = new AsyncDisposableStack();
    const bare = await startHttpServer({
      host: '127.0.0.1',
      port: 0,
      files: loadStaticFiles('no/such/dir'),
      onError,
    });
    stack.defer(() => bare.close());
    const answer = await fetch(bare.url);
    expect([answer.status, await answer.text()]).toEqual([
      404,
      'the console is not built; run npm run build\n',
    ]);
  });
});

describe('its guards', () => {
  test('a server on all addresses takes addresses and no foreign names', () => {
    const isOwn = hostGuard('0.0.0.0', 80);
    for (const host of ['10.1.2.3', '10.1.2.3:80', '[fe80::1]:80', 'localhost', 'LOCALHOST:80'])
      expect(isOwn(host), host).toBe(true);
    for (const host of ['evil.example', '10.1.2.3:81', undefined, '10.1.2.3.evil.example'])
      expect(isOwn(host), host).toBe(false);
  });

  test('tokens are equal only whole', () => {
    expect(sameToken('secret', 'secret')).toBe(true);
    for (const given of [undefined, '', 'secre', 'secrets', 'Secret'])
      expect(sameToken(given, 'secret')).toBe(false);
  });
});
