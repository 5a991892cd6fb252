/** A table of an engine of the tests' own, and the stores in it. */
import { type DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll } from 'vitest';
import { type DynamoDbOptions, dynamodb } from '../../src/drivers/dynamodb/index.ts';
import type { Attributes } from '../../src/drivers/dynamodb/item.ts';
import { describeStore, json, type Store } from '../../src/store/index.ts';
import { type DynamoDbServer, startDynamoDb } from './dynamodb-server.ts';

/** For all tests of a file, or of a `describe` that makes it. */
export class DynamoDbTable {
  readonly table = 'data';
  #server: DynamoDbServer | undefined;
  #client: DynamoDBClient | undefined;

  constructor() {
    beforeAll(async () => {
      this.#server = await startDynamoDb();
      this.#client = this.#server.client();
      await dynamodb({ client: this.client, table: this.table, create: true }).get('a');
    });
    afterAll(() => this.#server?.stop());
  }

  get server(): DynamoDbServer {
    return this.#server as DynamoDbServer;
  }

  /** One that is set up as it comes. */
  get client(): DynamoDBClient {
    return this.#client as DynamoDBClient;
  }

  /** A store under a prefix of its own. */
  open(options: Partial<DynamoDbOptions> = {}): Store<number> {
    const prefix = crypto.randomUUID();
    const { client, table } = this;
    return dynamodb({ client, table, prefix, codec: json<number>(), ...options });
  }

  /** What lies in the table for an entry of an unsharded store. */
  async itemOf(store: Store<number>, key: string): Promise<Attributes | undefined> {
    const Key = placeOf(store, key);
    return (await this.client.send(new GetItemCommand({ TableName: this.table, Key }))).Item;
  }
}

export const prefixOf = (store: Store<unknown>): string =>
  String(describeStore(store).details?.prefix);

/** Where an entry of an unsharded store lies. */
export const placeOf = (store: Store<unknown>, key: string): Attributes => ({
  p: { S: `${prefixOf(store)}/0` },
  k: { B: new TextEncoder().encode(key) },
});
