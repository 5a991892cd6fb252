/** A bucket of the S3 endpoint that a run shares, and the stores in it. */
import { CreateBucketCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { beforeAll, inject } from 'vitest';
import { describeStore, type Store } from '../../src/store/index.ts';
import { type S3Server, serverAt } from './s3-server.ts';

/** The first who asks waits some 15 s, until the endpoint has started. */
async function sharedS3(): Promise<S3Server> {
  const reply = await fetch(inject('s3Lender'));
  const text = await reply.text();
  if (!reply.ok) throw new Error(text);
  return serverAt(new URL(text), async () => {});
}

/** For all tests of the `describeWithEngine('radosgw', …)` that makes it. */
export class S3Bucket {
  readonly name: string = `stratakv-${crypto.randomUUID()}`;
  #server: S3Server | undefined;
  #client: S3Client | undefined;

  constructor() {
    beforeAll(async () => {
      this.#server = await sharedS3();
      this.#client = this.#server.client();
      await this.#client.send(new CreateBucketCommand({ Bucket: this.name }));
    }, 180_000);
  }

  get server(): S3Server {
    return this.#server as S3Server;
  }

  /** One that is set up as it comes. */
  get client(): S3Client {
    return this.#client as S3Client;
  }

  /** The names of a store's objects, after its root. */
  async stored(store: Store<unknown>): Promise<string[]> {
    const Prefix = rootOf(store);
    const command = new ListObjectsV2Command({ Bucket: this.name, Prefix });
    const { Contents = [] } = await this.client.send(command);
    return Contents.map(({ Key }) => String(Key).slice(Prefix.length));
  }
}

/** With what the names of a store's objects begin. */
export const rootOf = (store: Store<unknown>): string => `${describeStore(store).details?.prefix}/`;
