/** The DynamoDB endpoint of the tests: dynalite, in this process, on loopback. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import dynalite from 'dynalite';

export interface DynamoDbServer {
  readonly port: number;
  /** A client for it; `config` overrides. */
  client(config?: DynamoDBClientConfig): DynamoDBClient;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts an endpoint that keeps its tables in memory. */
export async function startDynamoDb(createTableMs = 0): Promise<DynamoDbServer> {
  return serve(dynalite({ createTableMs }));
}

/** Starts an endpoint that refuses every request with an error of this name. */
export async function startRefusing(name: string, message: string): Promise<DynamoDbServer> {
  const body = JSON.stringify({ __type: `com.amazon.coral.service#${name}`, message });
  return serve(
    createServer((_, response) => {
      response.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' }).end(body);
    }),
  );
}

async function serve(server: Server): Promise<DynamoDbServer> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const clients: DynamoDBClient[] = [];
  const stop = async (): Promise<void> => {
    for (const client of clients) client.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    port,
    client(config = {}) {
      const client = new DynamoDBClient({
        endpoint: `http://127.0.0.1:${port}`,
        region: 'us-east-1',
        credentials: { accessKeyId: 'AK', secretAccessKey: 'SK' },
        ...config,
      });
      clients.push(client);
      return client;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Something that happens to a request on its way. */
type Meddle = (request: {
  readonly command: string;
  readonly input: Record<string, unknown>;
  send(): Promise<unknown>;
}) => Promise<unknown>;

/** What a client says of a connection that broke off. */
export const broken = (): Error =>
  Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });

/** What the engine says when it is asked too much. */
export const throttled = (): Error =>
  Object.assign(new Error('too much'), {
    name: 'ProvisionedThroughputExceededException',
    $metadata: { httpStatusCode: 400 },
  });

/** A client whose requests are meddled with where they go out, each time that they do. */
export function meddledClient(server: DynamoDbServer, meddle: Meddle): DynamoDBClient {
  const client = server.client({ maxAttempts: 1 });
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
