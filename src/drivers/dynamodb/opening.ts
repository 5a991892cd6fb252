import {
  CreateTableCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  type KeySchemaElement,
  type TableDescription,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb';
import { pause } from '../../kernel/pause.ts';
import { errorName } from '../../kernel/request-failures.ts';
import { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { failure } from '../../store/errors.ts';
import { isLost, isTableMissing, isWorthAnother, toStrataError } from './failures.ts';
import { Layout, settingsKey } from './layout.ts';
import type { Requests } from './requests.ts';

const FORMAT = '1';
/** Bound of the opening, which belongs to all calls that wait for it: a table takes a while to be made. */
const OPENING_MS = 60_000;
/** Times that the settings of a new store are written when the endpoint is busy or its answer is lost. */
const WRITE_TRIES = 5;
const KEY_SCHEMA: KeySchemaElement[] = [
  { AttributeName: 'p', KeyType: 'HASH' },
  { AttributeName: 'k', KeyType: 'RANGE' },
];

export interface OpeningOptions {
  readonly env: Env;
  readonly prefix: string;
  /** Make a table that is missing. */
  readonly create: boolean;
  /** So many shards it is to have, where that was said. */
  readonly shards: number | undefined;
}

/** Finds out, once, how a store lies in its table; tried again after a failure. */
export class Opening {
  readonly #requests: Requests;
  readonly #options: OpeningOptions;
  #made: Promise<void> | undefined;
  #looking: Promise<Layout | undefined> | undefined;
  #beginning: Promise<Layout> | undefined;
  #layout: Layout | undefined;

  constructor(requests: Requests, options: OpeningOptions) {
    this.#requests = requests;
    this.#options = options;
  }

  /** How the store lies; `undefined` while nothing was ever written. Makes the table where that was asked for. */
  async forReading(): Promise<Layout | undefined> {
    if (this.#layout !== undefined) return this.#layout;
    this.#looking ??= this.#bounded((call) => this.#look(call)).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** As `forReading`; begins the store where there is none. */
  async forWriting(): Promise<Layout> {
    if (this.#layout !== undefined) return this.#layout;
    this.#beginning ??= this.#bounded((call) => this.#begin(call)).finally(() => {
      this.#beginning = undefined;
    });
    return this.#beginning;
  }

  #bounded<T>(work: (call: Call) => Promise<T>): Promise<T> {
    const call = new Call(this.#options.env, 'open', undefined, { timeoutMs: OPENING_MS });
    return call.guard(work(call));
  }

  async #look(call: Call): Promise<Layout | undefined> {
    if (this.#options.create) await this.#makeOnce(call);
    const { prefix, shards: wanted } = this.#options;
    const found = await this.#requests.get(settingsKey(prefix), call);
    if (found === undefined) return undefined;
    const { f, n } = found;
    const shards = Number(n?.N);
    if (f?.N !== FORMAT || !(shards >= 1))
      throw failure(
        'corrupt',
        'open',
        `the settings of ${JSON.stringify(prefix)} have the format ${f?.N}; this version reads ${FORMAT}`,
      );
    if (wanted !== undefined && wanted !== shards)
      throw failure(
        'invalid-argument',
        'open',
        `the option shards is ${wanted}, and the store ${JSON.stringify(prefix)} was begun with ${shards}; expected ${shards}, or none`,
      );
    this.#layout = new Layout(prefix, shards);
    return this.#layout;
  }

  async #begin(call: Call): Promise<Layout> {
    const { prefix, shards = 1 } = this.#options;
    const item = { ...settingsKey(prefix), f: { N: FORMAT }, n: { N: String(shards) } };
    const absent = { ConditionExpression: 'attribute_not_exists(k)' };
    for (let tries = 1; ; tries++) {
      const found = await this.#look(call);
      if (found !== undefined) return found;
      try {
        await this.#requests.put(item, absent, call);
      } catch (error) {
        // What another one wrote meanwhile counts; and what was written without an answer.
        if (isLost(error)) continue;
        if (tries === WRITE_TRIES || !isWorthAnother(error)) throw this.#failure(error);
        await pause(call, tries);
      }
    }
  }

  #makeOnce(call: Call): Promise<void> {
    this.#made ??= this.#make(call).catch((error: unknown) => {
      this.#made = undefined;
      throw this.#failure(error);
    });
    return this.#made;
  }

  async #make(call: Call): Promise<void> {
    const { client, table: TableName } = this.#requests;
    const send = { abortSignal: call.signal };
    let table = await this.#describe(call);
    if (table === undefined) {
      const command = new CreateTableCommand({
        TableName,
        KeySchema: KEY_SCHEMA,
        AttributeDefinitions: [
          { AttributeName: 'p', AttributeType: 'S' },
          { AttributeName: 'k', AttributeType: 'B' },
        ],
        BillingMode: 'PAY_PER_REQUEST',
      });
      await client.send(command, send).catch((error: unknown) => {
        // Another one may be making it.
        if (errorName(error) !== 'ResourceInUseException') throw error;
      });
    }
    for (let tries = 1; !isReady(table); tries++) {
      await pause(call, tries);
      table = await this.#describe(call);
    }
    await this.#expireByItself(call);
  }

  async #describe(call: Call): Promise<TableDescription | undefined> {
    const { client, table: TableName } = this.#requests;
    try {
      const command = new DescribeTableCommand({ TableName });
      return (await client.send(command, { abortSignal: call.signal })).Table;
    } catch (error) {
      if (isTableMissing(error)) return undefined;
      throw error;
    }
  }

  /** Lets the engine remove what has expired, where it can; the store hides it anyway. */
  async #expireByItself(call: Call): Promise<void> {
    const { client, table: TableName } = this.#requests;
    const send = { abortSignal: call.signal };
    try {
      const told = await client.send(new DescribeTimeToLiveCommand({ TableName }), send);
      if (told.TimeToLiveDescription?.TimeToLiveStatus !== 'DISABLED') return;
      const TimeToLiveSpecification = { AttributeName: 'x', Enabled: true };
      const command = new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification });
      await client.send(command, send);
    } catch (error) {
      if (errorName(error) !== 'UnknownOperationException') throw error;
    }
  }

  #failure(error: unknown): Error {
    return toStrataError(error, { operation: 'open', table: this.#requests.table });
  }
}

function isReady(table: TableDescription | undefined): boolean {
  return table?.TableStatus === 'ACTIVE' || table?.TableStatus === 'UPDATING';
}
