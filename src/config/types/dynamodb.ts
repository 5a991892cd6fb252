import type { Durability } from '../../store/capabilities.ts';
import type { Definitions } from '../definitions.ts';
import * as is from '../fields.ts';
import { checkCredentials, clientConfig, clientFields, durability, withClient } from './aws.ts';
import { codec, timeoutMs } from './common-fields.ts';
import { opened, type TypeSpec } from './type-spec.ts';

const { named, value } = is;

const PREFIX = /^[A-Za-z0-9._-]{1,128}$/;

export const dynamodb: TypeSpec<Definitions['dynamodb']> = {
  kind: 'driver',
  doc: 'One item a key, in a table of DynamoDB; needs the npm package @aws-sdk/client-dynamodb. It has no feed.',
  fields: {
    table: named(
      is.text,
      'The table’s name. Its key is `p`, a string (hash), and `k`, binary (range).',
      {
        required: true,
      },
    ),
    prefix: named(
      is.textLike(
        {
          expected: 'one to 128 letters, digits and . _ -',
          accepts: (v) => typeof v === 'string' && PREFIX.test(v),
        },
        PREFIX.source,
      ),
      'Names the store within the table. Default `strata`.',
    ),
    shards: value(
      is.wholeUpTo(64),
      'Over so many shards the keys are spread; a store keeps those that it was begun with. Default what the store has, and 1 for a new one.',
    ),
    create: value(
      is.boolean,
      'Makes the table where it is missing, billed by request. Default false.',
    ),
    codec,
    durability,
    ...clientFields,
    timeoutMs,
  },
  npmName: '@aws-sdk/client-dynamodb',
  load: async () => {
    const { DynamoDBClient } = await import('@aws-sdk/client-dynamodb');
    const { dynamodb } = await import('../../drivers/dynamodb/index.ts');
    return ({ region, endpoint, accessKeyId, secretAccessKey, ...options }) => {
      const client = new DynamoDBClient(
        clientConfig({ region, endpoint, accessKeyId, secretAccessKey }),
      );
      return withClient(opened(dynamodb({ client, ...options } as never)), client);
    };
  },
  check: (options) => checkCredentials('dynamodb', options),
  traits: ({ durability: kept = 'disk' }) => ({
    feed: false,
    evicts: false,
    atomic: 'key',
    durability: kept as Durability,
  }),
  place: ({ endpoint = '', table, prefix = 'strata' }) =>
    `${String(endpoint)} ${String(table)} ${String(prefix)}`,
};
