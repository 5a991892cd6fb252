import type { S3ClientConfig } from '@aws-sdk/client-s3';
import type { Durability } from '../../store/capabilities.ts';
import { defineStore } from '../../store/define-store.ts';
import { invalidArgument } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import type { Definitions } from '../definitions.ts';
import * as is from '../fields.ts';
import { codecField } from './codecs.ts';
import { type Options, opened, type TypeSpec } from './type-spec.ts';

const { named, value } = is;

/** Letters, digits and `. _ -`, in parts between slashes. */
const PREFIX = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

function clientConfig(options: Options): S3ClientConfig {
  const { region, endpoint, pathStyle, accessKeyId, secretAccessKey } = options;
  const config = {
    region,
    endpoint,
    forcePathStyle: pathStyle,
    credentials: accessKeyId === undefined ? undefined : { accessKeyId, secretAccessKey },
  };
  const given = Object.entries(config).filter(([, one]) => one !== undefined);
  return Object.fromEntries(given) as S3ClientConfig;
}

/** The store, which here has made its client and so closes it too. */
function withClient(store: Store<unknown>, client: { destroy(): void }): Store<unknown> {
  const primitives = primitivesOf(store);
  return defineStore({
    ...primitives,
    close: async () => {
      await store.close();
      client.destroy();
    },
  });
}

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
    codec: codecField('How values become bytes. Default: none; the store then holds bytes.'),
    durability: value(
      is.oneOf('memory', 'os', 'disk', 'quorum'),
      'What a write survives that the endpoint has acknowledged. Default `disk`.',
    ),
    region: named(is.text, 'The region. Default that of the client’s own settings.'),
    endpoint: named(
      is.textLike(
        {
          expected: 'an address such as https://s3.example.org',
          accepts: (v) => typeof v === 'string' && /^https?:\/\/./i.test(v) && URL.canParse(v),
        },
        '^[Hh][Tt][Tt][Pp][Ss]?://.',
      ),
      'Address of the endpoint. Default that of the region.',
    ),
    pathStyle: value(
      is.boolean,
      'Whether the bucket stands in the path of addresses instead of the host’s name, as many endpoints want it. Default false.',
    ),
    accessKeyId: named(
      is.text,
      'With `secretAccessKey`: the credentials. Default those of the client’s own settings.',
    ),
    secretAccessKey: named(is.text, 'The secret of `accessKeyId`.', {
      onlyFromEnvironment: true,
      secret: true,
    }),
    timeoutMs: value(is.durationMs, 'Bound of calls that name none, in ms; default 5,000.'),
  },
  npmName: '@aws-sdk/client-s3',
  load: async () => {
    const { S3Client } = await import('@aws-sdk/client-s3');
    const { s3 } = await import('../../drivers/s3/index.ts');
    return ({ region, endpoint, pathStyle, accessKeyId, secretAccessKey, ...options }) => {
      const client = new S3Client(
        clientConfig({ region, endpoint, pathStyle, accessKeyId, secretAccessKey }),
      );
      return withClient(opened(s3({ client, ...options } as never)), client);
    };
  },
  check: (options) => {
    // By name: what is taken on trust from the environment stands there without a value.
    const [id, secret] = ['accessKeyId', 'secretAccessKey'].map((name) => name in options);
    if (id !== secret)
      throw invalidArgument(
        's3',
        `the option ${id === true ? 'secretAccessKey' : 'accessKeyId'}`,
        undefined,
        'both accessKeyId and secretAccessKey, or neither',
      );
  },
  traits: ({ durability = 'disk' }) => ({
    feed: false,
    evicts: false,
    atomic: 'key',
    durability: durability as Durability,
  }),
  place: ({ endpoint = '', bucket, prefix = 'strata' }) =>
    `${String(endpoint)} ${String(bucket)} ${String(prefix)}`,
};
