/** Runs once before the browser tests: a server to replicate from, behind a proxy that pages can tell to break. */
import { createServer } from 'node:http';
import type { TestProject } from 'vitest/node';
import { memory } from '../../src/drivers/memory/index.ts';
import { publish } from '../../src/sync/index.ts';
import { serveWebSocket } from '../../src/sync/node.ts';
import { servePipe } from './frame-pipe.ts';
import { TcpProxy } from './tcp-proxy.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Addresses for pages: the published store, through a proxy, where to ask for `cut` and `resume/id`, and a pipe between two sockets. */
    syncServer: { readonly url: string; readonly control: string; readonly pipe: string };
  }
}

const stops: (() => unknown)[] = [];

export async function setup(project: TestProject): Promise<void> {
  const store = memory<Uint8Array>();
  const publication = publish(store, {
    authorize: ({ token }) => token === 'secret' && { read: true, write: true },
  });
  const service = await serveWebSocket({ publication, port: 0 });
  const proxy = await TcpProxy.start(service.port);
  const pipe = await servePipe();
  const control = createServer((request, response) => {
    if (request.url === '/cut') proxy.cut();
    const [, resumed] = /^\/resume\/(.+)$/.exec(request.url ?? '') ?? [];
    if (resumed !== undefined) pipe.resume(resumed);
    response.setHeader('access-control-allow-origin', '*');
    response.end(JSON.stringify({ ...proxy.passed, connections: proxy.connections }));
  });
  await new Promise<void>((resolve) => control.listen(0, '127.0.0.1', resolve));
  stops.push(
    () => control.close(),
    () => pipe.close(),
    () => proxy.stop(),
    () => service.close(),
    () => store.close(),
  );
  const address = control.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  project.provide('syncServer', {
    url: `ws://127.0.0.1:${proxy.port}/`,
    control: `http://127.0.0.1:${port}`,
    pipe: pipe.url,
  });
}

export async function teardown(): Promise<void> {
  for (const stop of stops.splice(0)) await stop();
}
