import {
  BatchGetItemCommand,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
} from '@aws-sdk/client-dynamodb';
import { oneAttempt } from '../../kernel/one-attempt.ts';
import { pause } from '../../kernel/pause.ts';
import { sideBySide } from '../../kernel/side-by-side.ts';
import type { Call } from '../../store/call.ts';
import { failure } from '../../store/errors.ts';
import { isWorthAnother, toStrataError } from './failures.ts';
import { type Attributes, HEAD_ATTRIBUTES } from './item.ts';

/** Times that a read is sent, beside what the client does of its own accord. */
const READ_TRIES = 4;
/** So many items are asked for at once, as the engine allows. */
const MOST_KEYS = 100;

/** Names an item: its shard, and its key within. */
export type Key = { readonly p: { readonly S: string }; readonly k: { readonly B: Uint8Array } };

/** What a write wants to find. */
export interface Condition {
  readonly ConditionExpression: string;
  readonly ExpressionAttributeValues?: Attributes;
}

/** Which items of a shard come next. */
export type ShardQuery = Pick<
  QueryCommandInput,
  | 'KeyConditionExpression'
  | 'ExpressionAttributeValues'
  | 'ScanIndexForward'
  | 'Limit'
  | 'ExclusiveStartKey'
  | 'ProjectionExpression'
>;

export interface QueriedPage {
  readonly items: readonly Attributes[];
  /** Where it goes on, if it does. */
  readonly next: Attributes | undefined;
}

/** The requests of a store to one table. All reads are consistent. */
export class Requests {
  readonly client: DynamoDBClient;
  readonly table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.client = client;
    this.table = table;
  }

  /** An item; `heads` leaves the value out. Failures of this and all reads are `StrataError`s. */
  get(key: Key, call: Call, about?: string, heads = false): Promise<Attributes | undefined> {
    return this.#read(call, about, async () => {
      const command = new GetItemCommand({
        TableName: this.table,
        Key: key,
        ConsistentRead: true,
        ...(heads && { ProjectionExpression: HEAD_ATTRIBUTES }),
      });
      return (await this.client.send(command, { abortSignal: call.signal })).Item;
    });
  }

  /** Some items, each named once, in no order; `heads` leaves the values out. */
  async getMany(keys: readonly Key[], call: Call, heads: boolean): Promise<Attributes[]> {
    const groups: Key[][] = [];
    for (let at = 0; at < keys.length; at += MOST_KEYS) groups.push(keys.slice(at, at + MOST_KEYS));
    const found = await sideBySide(groups, (group) => this.#getGroup(group, call, heads));
    return found.flat();
  }

  /** The engine gives what it has time and room for; the rest is asked for again. */
  async #getGroup(keys: Key[], call: Call, heads: boolean): Promise<Attributes[]> {
    const found: Attributes[] = [];
    let left: Attributes[] = keys;
    for (let idle = 0; left.length > 0; ) {
      const before = left.length;
      const reply = await this.#read(call, undefined, () =>
        this.client.send(
          new BatchGetItemCommand({
            RequestItems: {
              [this.table]: {
                Keys: left,
                ConsistentRead: true,
                ...(heads && { ProjectionExpression: HEAD_ATTRIBUTES }),
              },
            },
          }),
          { abortSignal: call.signal },
        ),
      );
      found.push(...(reply.Responses?.[this.table] ?? []));
      left = reply.UnprocessedKeys?.[this.table]?.Keys ?? [];
      idle = left.length < before ? 0 : idle + 1;
      if (idle === READ_TRIES)
        throw failure('overloaded', call.operation, `the table ${this.table} gives no items`);
      if (left.length > 0) await pause(call, idle + 1);
    }
    return found;
  }

  /** The next items of a shard. */
  async query(query: ShardQuery, call: Call): Promise<QueriedPage> {
    const reply = await this.#read(call, undefined, () =>
      this.client.send(
        new QueryCommand({ TableName: this.table, ConsistentRead: true, ...query }),
        { abortSignal: call.signal },
      ),
    );
    return { items: reply.Items ?? [], next: reply.LastEvaluatedKey };
  }

  /** One attempt to write an item. Rejects with what the client says. */
  async put(item: Attributes, condition: Condition, call: Call): Promise<void> {
    const command = new PutItemCommand({ TableName: this.table, Item: item, ...condition });
    await oneAttempt(command, (once) => this.client.send(once, { abortSignal: call.signal }));
  }

  /** One attempt to remove an item. Rejects with what the client says. */
  async remove(key: Key, condition: Condition, call: Call): Promise<void> {
    const command = new DeleteItemCommand({ TableName: this.table, Key: key, ...condition });
    await oneAttempt(command, (once) => this.client.send(once, { abortSignal: call.signal }));
  }

  /** Reads change nothing, so that what may be had by asking again is asked for again. */
  async #read<T>(call: Call, key: string | undefined, send: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      call.throwIfEnded();
      try {
        return await send();
      } catch (error) {
        call.throwIfEnded();
        if (tries === READ_TRIES || !isWorthAnother(error))
          throw toStrataError(error, { operation: call.operation, key, table: this.table });
        await pause(call, tries);
      }
    }
  }
}
