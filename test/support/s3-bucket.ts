/** A bucket of an S3 endpoint of the tests' own, and the stores in it. */
import { CreateBucketCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll } from 'vitest';
import { describeStore, type Store } from '../../src/store/index.ts';
import { type S3Server, startS3 } from './s3-server.ts';

/** For all tests of the `describeWithEngine('radosgw', …)` that makes it. */
export class S3Bucket {
  readonly name: string = `stratakv-${crypto.randomUUID()}`;
  #server: S3Server | undefined;
  #client: S3Client | undefined;

  constructor() {
    beforeAll(async () => {
      this.#server = await startS3();
      this.#client = this.#server.client();
      await this.#client.send(new CreateBucketCommand({ Bucket: this.name }));
    }, 180_000);
    afterAll(() => this.#server?.stop(), 60_000);
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
