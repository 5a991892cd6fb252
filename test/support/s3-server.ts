/** The S3 endpoint of the tests: one that runs already, or a radosgw of their own on loopback. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { findEngine } from './find-engine.ts';
import { freePort } from './redis-server.ts';

const script = fileURLToPath(new URL('./radosgw.sh', import.meta.url));

export interface S3Server {
  /** With the credentials in it. */
  readonly url: string;
  readonly port: number;
  /** A client for it; `config` overrides. */
  client(config?: S3ClientConfig): S3Client;
  stop(): Promise<void>;
}

/** Starts the endpoint; takes some 15 s. Call it inside `describeWithEngine('radosgw', …)`. */
export async function startS3(): Promise<S3Server> {
  const found = findEngine('radosgw');
  if ('missing' in found) throw new Error(`cannot start an S3 endpoint: ${found.missing}`);
  if (/^https?:/.test(found.at)) return serverAt(new URL(found.at), async () => {});
  for (let tries = 1; ; tries++) {
    try {
      return await startRadosgw();
    } catch (error) {
      // One of its three ports may have been taken.
      if (tries === 3) throw error;
    }
  }
}

async function startRadosgw(): Promise<S3Server> {
  const dir = mkdtempSync(join(tmpdir(), 'stratakv-s3-'));
  const endWithUs = (): void => void spawnSync('bash', [script, 'stop', dir]);
  process.once('exit', endWithUs);
  const stop = async (): Promise<void> => {
    process.off('exit', endWithUs);
    await run(['stop', dir]);
    rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
  const port = await freePort();
  try {
    await run(['start', dir, String(port)]);
  } catch (error) {
    await stop();
    throw error;
  }
  return serverAt(new URL(`http://AK:SK@127.0.0.1:${port}`), stop);
}

export function serverAt(url: URL, stop: () => Promise<void>): S3Server {
  const credentials = { accessKeyId: url.username, secretAccessKey: url.password };
  return {
    url: url.href,
    port: Number(url.port),
    client: (config = {}) =>
      new S3Client({
        endpoint: url.origin,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials,
        ...config,
      }),
    stop,
  };
}

async function run(args: readonly string[]): Promise<void> {
  const child = spawn('bash', [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`radosgw.sh ${args[0]} failed (${code}):\n${output.join('')}`);
}

/** Something that happens to a request on its way. */
type Meddle = (request: {
  readonly command: string;
  readonly input: Readonly<Record<string, unknown>>;
  send(): Promise<unknown>;
}) => Promise<unknown>;

/** What a client says of a connection that broke off. */
export const broken = (): Error =>
  Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });

/** A client whose requests are meddled with where they go out, each time that they do. */
export function meddledClient(server: S3Server, meddle: Meddle): S3Client {
  const client = server.client();
  client.middlewareStack.add(
    (next, context) => (args) =>
      meddle({
        command: String(context.commandName),
        input: args.input as unknown as Record<string, unknown>,
        send: () => next(args),
      }) as ReturnType<typeof next>,
    { step: 'deserialize', priority: 'high', name: 'meddle' },
  );
  return client;
}

/** A client whose inputs are changed before anything is made of them. */
export function changedClient(
  server: S3Server,
  change: (command: string, input: Record<string, unknown>) => void,
): S3Client {
  const client = server.client();
  client.middlewareStack.add(
    (next, context) => (args) => {
      change(String(context.commandName), args.input as unknown as Record<string, unknown>);
      return next(args);
    },
    { step: 'initialize', priority: 'high', name: 'change' },
  );
  return client;
}
