import { invalidArgument } from '../../store/errors.ts';
import type { Definitions } from '../definitions.ts';
import * as is from '../fields.ts';
import {
  codec,
  commitsKept,
  logBytes,
  timeoutMs,
  tombstoneBytes,
  tombstoneMs,
} from './common-fields.ts';
import { type Options, opened, type TypeSpec } from './type-spec.ts';

const { named, value } = is;

/** Options that tell of the feed, which entries in plain mode do not have. */
const OF_FEED = ['logBytes', 'commitsKept', 'tombstoneMs', 'tombstoneBytes'];
const PREFIX = /^[^{}]{1,128}$/u;

const isPlain = ({ mode }: Options): boolean => mode === 'plain';

/** What the mode makes of the other options. */
function checkMode(options: Options): void {
  const refuse = (name: string, expected: string): never => {
    throw invalidArgument('redis', `the option ${name}`, options[name], expected);
  };
  if (isPlain(options)) {
    const ofFeed = OF_FEED.find((name) => name in options);
    if (ofFeed !== undefined) refuse(ofFeed, 'none in plain mode, which has no feed');
    return;
  }
  if ('allowEviction' in options) refuse('allowEviction', 'none without the mode plain');
}

/** Where a Redis is. */
export const redisAddress: is.Shape = is.textLike(
  {
    expected: 'an address such as redis://127.0.0.1:6379',
    accepts: (v) => typeof v === 'string' && /^rediss?:\/\//i.test(v) && URL.canParse(v),
  },
  '^[Rr][Ee][Dd][Ii][Ss][Ss]?://',
);

export const redis: TypeSpec<Definitions['redis']> = {
  kind: 'driver',
  doc: 'In Redis 6.2 or newer (`plain`: 7.0), shared by any number of processes; needs the npm package ioredis or redis.',
  fields: {
    url: named(
      redisAddress,
      'Address, such as `redis://127.0.0.1:6379/0`. One with a password belongs into the environment.',
      { required: true, secret: true },
    ),
    mode: value(
      is.oneOf('plain'),
      '`plain`: each entry is an ordinary string, which other programs may read and write too; without a feed, metadata and conditions other than `absent`. Default: entries of our own, with all of these.',
    ),
    prefix: named(
      is.textLike(
        {
          expected: 'one to 128 characters of well-formed Unicode without braces',
          accepts: (v) => typeof v === 'string' && PREFIX.test(v) && v.isWellFormed(),
        },
        PREFIX.source,
      ),
      'Names the store within the database: all its keys begin with it, in braces. Default `strata`. In plain mode it stands before each key as it is; default nothing.',
    ),
    codec,
    durability: value(
      is.oneOf('memory', 'os', 'disk'),
      'What the server makes of an acknowledged write. With `os` and `disk` a server that keeps less is refused. Default `memory`.',
    ),
    allowEviction: value(
      is.boolean,
      'In plain mode: takes a server that removes entries when memory is short. Default false: such a server is refused.',
    ),
    logBytes,
    commitsKept,
    tombstoneMs,
    tombstoneBytes: tombstoneBytes('64 MiB'),
    timeoutMs,
  },
  load: async () => {
    const { redis } = await import('../../drivers/redis/index.ts');
    return (options) => opened(redis(options as never));
  },
  check: checkMode,
  traits: (options) => ({
    feed: !isPlain(options),
    evicts: options.allowEviction === true,
    bare: isPlain(options),
    atomic: 'batch',
    durability: (options.durability ?? 'memory') as 'memory' | 'os' | 'disk',
  }),
  place: (options) => {
    const { url, prefix = isPlain(options) ? '' : 'strata' } = options;
    return `${String(url)} ${isPlain(options) ? 'plain ' : ''}${String(prefix)}`;
  },
};
