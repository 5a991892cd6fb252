/** One S3 endpoint for all tests of a run, started when the first of them asks for it. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { S3Server } from './s3-server.ts';

export interface S3Lender {
  /** Where a test asks for the address of the endpoint. */
  readonly url: string;
  /** Ends the endpoint, where one was started. */
  stop(): Promise<void>;
}

export async function lendS3(): Promise<S3Lender> {
  let started: Promise<S3Server> | undefined;
  const lender = createServer((_, response) => {
    // What it needs takes a while to load, and few runs ask.
    started ??= import('./s3-server.ts').then(({ startS3 }) => startS3());
    started.then(
      ({ url }) => response.end(url),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  lender.listen(0, '127.0.0.1');
  await once(lender, 'listening');
  const { port } = lender.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      lender.closeAllConnections();
      lender.close();
      const server = await started?.catch(() => undefined);
      await server?.stop();
    },
  };
}
