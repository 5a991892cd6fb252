/** What the stores of one vendor's protocols share: the client that is made here, and what makes it. */
import { defineStore } from '../../store/define-store.ts';
import { invalidArgument } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import type { AwsClientDefinition } from '../definitions.ts';
import * as is from '../fields.ts';
import type { Options } from './type-spec.ts';

const { named, value } = is;

/** Options of a client as data. */
export interface AwsClientConfig {
  region?: string;
  endpoint?: string;
  credentials?: { accessKeyId: string; secretAccessKey: string };
}

/** The options that make the client, but for those of one of them. */
export const clientFields: Readonly<Record<keyof AwsClientDefinition, is.ValueField>> = {
  region: named(is.text, 'The region. Default that of the client’s own settings.'),
  endpoint: named(
    is.textLike(
      {
        expected: 'an address such as https://service.example.org',
        accepts: (v) => typeof v === 'string' && /^https?:\/\/./i.test(v) && URL.canParse(v),
      },
      '^[Hh][Tt][Tt][Pp][Ss]?://.',
    ),
    'Address of the endpoint. Default that of the region.',
  ),
  accessKeyId: named(
    is.text,
    'With `secretAccessKey`: the credentials. Default those of the client’s own settings.',
  ),
  secretAccessKey: named(is.text, 'The secret of `accessKeyId`.', {
    onlyFromEnvironment: true,
    secret: true,
  }),
};

export const durability: is.ValueField = value(
  is.oneOf('memory', 'os', 'disk', 'quorum'),
  'What a write survives that the endpoint has acknowledged. Default `disk`.',
);

export function clientConfig({
  region,
  endpoint,
  accessKeyId,
  secretAccessKey,
}: Options): AwsClientConfig {
  const config = {
    region,
    endpoint,
    credentials: accessKeyId === undefined ? undefined : { accessKeyId, secretAccessKey },
  };
  return Object.fromEntries(
    Object.entries(config).filter(([, one]) => one !== undefined),
  ) as AwsClientConfig;
}

/** Refuses half of the credentials. */
export function checkCredentials(type: string, options: Options): void {
  // By name: what is taken on trust from the environment stands there without a value.
  const [id, secret] = ['accessKeyId', 'secretAccessKey'].map((name) => name in options);
  if (id !== secret)
    throw invalidArgument(
      type,
      `the option ${id === true ? 'secretAccessKey' : 'accessKeyId'}`,
      undefined,
      'both accessKeyId and secretAccessKey, or neither',
    );
}

/** The store, which here has made its client and so closes it too. */
export function withClient(store: Store<unknown>, client: { destroy(): void }): Store<unknown> {
  const primitives = primitivesOf(store);
  return defineStore({
    ...primitives,
    close: async () => {
      await store.close();
      client.destroy();
    },
  });
}
