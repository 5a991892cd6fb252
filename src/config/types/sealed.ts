import { StrataError } from '../../store/errors.ts';
import type { Definitions } from '../definitions.ts';
import * as is from '../fields.ts';
import { type Options, ofInner, opened, type TypeSpec } from './type-spec.ts';

const { named, value } = is;

/** 32 bytes in base64 or hexadecimal; anything else is told by the length of what it gives. */
const keyText: is.Shape = is.textLike(
  {
    expected: '32 bytes in base64 or hexadecimal',
    accepts: (v) => typeof v === 'string' && bytesOf(v)?.length === 32,
  },
  '',
);

function bytesOf(text: string): Uint8Array | undefined {
  const isHex = /^[0-9a-f]{64}$/i.test(text);
  if (!isHex && !/^[\w+/-]{43}=?$/.test(text)) return undefined;
  const pairs = text.match(/../g) ?? [];
  if (isHex) return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
  const standard = text.replaceAll('-', '+').replaceAll('_', '/');
  return Uint8Array.from(atob(standard), (char) => char.charCodeAt(0));
}

async function compressionOf(name: unknown): Promise<unknown> {
  const { gzip, zstd } = await import('../../layers/sealed/index.ts');
  if (name === 'gzip') return gzip();
  const zlib = await import('node:zlib');
  if (typeof zlib.zstdCompress === 'function') return zstd(zlib);
  throw new StrataError('unsupported', 'open: zstd is not offered here; expected gzip', {
    operation: 'open',
  });
}

/** The options of the seal; `undefined` where a key is not known yet. */
export function sealOptions({ store: _, storeId: __, ...options }: Options): Options | undefined {
  const keys = Object.values((options.keys ?? {}) as Options);
  return keys.includes(undefined) ? undefined : options;
}

/** How a seal is written as data. */
export const SEAL_FIELDS: Readonly<Record<'compress' | 'keys' | 'keyId' | 'maxBytes', is.Field>> = {
  compress: value(is.oneOf('gzip', 'zstd'), 'How values are made smaller. Default not at all.', {
    resolve: compressionOf,
  }),
  keys: {
    kind: 'map',
    doc: 'Keys of AES-256-GCM by id, each from the environment: 32 bytes in base64 or hexadecimal. With keys, what is not encrypted is not read.',
    each: named(keyText, 'A key.', {
      onlyFromEnvironment: true,
      secret: true,
      resolve: async (text) => bytesOf(text as string),
    }),
  },
  keyId: named(is.text, 'The key to encrypt with; default the only one.'),
  maxBytes: value(
    is.wholeUpTo(2 ** 32 - 1),
    'Largest value, in bytes, that is written or read; default 64 MiB, at most 4 GiB - 1.',
  ),
};

export const sealed: TypeSpec<Definitions['sealed']> = {
  kind: 'layer',
  doc: 'A store of bytes whose values are compressed, encrypted, or both.',
  fields: {
    store: is.part('The store inside.'),
    storeId: named(
      is.text,
      'Name of this store, bound to each value with its key. Never change it.',
      { required: true },
    ),
    ...SEAL_FIELDS,
  },
  load: async () => {
    const { seal, sealed } = await import('../../layers/sealed/index.ts');
    return ({ store, storeId, ...options }) =>
      opened(sealed(store as never, { seal: seal(options), storeId: storeId as string }) as never);
  },
  check: async (options) => {
    const { seal } = await import('../../layers/sealed/index.ts');
    const given = sealOptions(options);
    if (given !== undefined) seal(given);
  },
  traits: ofInner,
};
