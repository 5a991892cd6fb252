import type { Durability } from '../../store/capabilities.ts';
import type { Definitions } from '../definitions.ts';
import * as is from '../fields.ts';
import { checkCredentials, clientConfig, clientFields, durability, withClient } from './aws.ts';
import { codec, timeoutMs } from './common-fields.ts';
import { opened, type TypeSpec } from './type-spec.ts';

const { named, value } = is;

/** Letters, digits and `. _ -`, in parts between slashes. */
const PREFIX = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

export const s3: TypeSpec<Definitions['s3']> = {
  kind: 'driver',
  doc: 'One object a key, in a bucket of any endpoint of the S3 protocol; needs the npm package @aws-sdk/client-s3. It has no feed.',
  fields: {
    bucket: named(is.text, 'The bucket’s name.', { required: true }),
    prefix: named(
      is.textLike(
        {
          expected:
            'one to 128 letters, digits and . _ - in parts between slashes, none of which begins with a dot',
          accepts: (v) => typeof v === 'string' && v.length <= 128 && PREFIX.test(v),
        },
        PREFIX.source.replace('^', '^(?=.{1,128}$)'),
      ),
      'Names the store within the bucket. Default `strata`.',
    ),
    create: value(is.boolean, 'Makes the bucket where it is missing. Default false.'),
    conditional: value(
      is.oneOf('all', 'none'),
      '`all`: any number of processes share the store. `none`: for endpoints that do not heed conditions; one process at a time may write. Default `all`.',
    ),
    codec,
    durability,
    ...clientFields,
    pathStyle: value(
      is.boolean,
      'Whether the bucket stands in the path of addresses instead of the host’s name, as many endpoints want it. Default false.',
    ),
    timeoutMs,
  },
  npmName: '@aws-sdk/client-s3',
  load: async () => {
    const { S3Client } = await import('@aws-sdk/client-s3');
    const { s3 } = await import('../../drivers/s3/index.ts');
    return ({ region, endpoint, pathStyle, accessKeyId, secretAccessKey, ...options }) => {
      const client = new S3Client({
        ...clientConfig({ region, endpoint, accessKeyId, secretAccessKey }),
        ...(pathStyle !== undefined && { forcePathStyle: pathStyle as boolean }),
      });
      return withClient(opened(s3({ client, ...options } as never)), client);
    };
  },
  check: (options) => checkCredentials('s3', options),
  traits: ({ durability = 'disk' }) => ({
    feed: false,
    evicts: false,
    atomic: 'key',
    durability: durability as Durability,
  }),
  place: ({ endpoint = '', bucket, prefix = 'strata' }) =>
    `${String(endpoint)} ${String(bucket)} ${String(prefix)}`,
};
