import type { Archive } from '../../compositions/archive/index.ts';
import { parseStoreUrl } from '../../config/address.ts';
import { openArchiveDefinition } from '../../config/open-definition.ts';
import { StrataError } from '../../store/errors.ts';
import type { Context } from '../context.ts';
import { type Flag, type FlagValues, flag, usageError } from '../flags.ts';
import { configuredArchive } from '../stores/config.ts';

/** What tells of an archive that no configuration names. */
export const ARCHIVE_FLAGS: {
  readonly cold: Flag<string>;
  readonly namespace: Flag<string>;
  readonly prefix: Flag<string>;
  readonly compress: Flag<'gzip' | 'zstd'>;
  readonly idle: Flag<number>;
} = {
  cold: flag.text('STORE', 'with an address of Redis: where its keys go, such as file:./cold'),
  namespace: flag.text('NAME', 'of which archive of this Redis (default: strata-archive)'),
  prefix: flag.text('TEXT', 'only keys that begin so are archived (default: all)'),
  compress: flag.oneOf(['gzip', 'zstd'], 'how objects are made smaller (default: not at all)'),
  idle: flag.duration('evict, watch: evict the keys that nobody used for so long'),
};

type Values = FlagValues<typeof ARCHIVE_FLAGS>;

const isAddress = (name: string): boolean => /^rediss?(\+cluster)?:\/\//i.test(name);

/** What is opened instead of a cold store that nobody is going to use. */
const NO_COLD = 'memory:';

/**
 * What an action does with the cold store, which one process may have to itself for writing: nothing
 * where it looks at the hot side only, or it reads what the others wrote.
 */
export type ColdAccess = 'none' | 'read' | 'write';

/**
 * Opens the archive that an argument names: in the configuration, or the keys of a Redis by its
 * address, with `--cold`. It is closed when the command ends. Errors: `invalid-argument`,
 * `unsupported` for a package that is missing, those of the stores.
 */
export async function openArchive(
  context: Context,
  name: string,
  flags: Values,
  access: ColdAccess,
): Promise<Archive> {
  const archive = isAddress(name)
    ? await ofAddress(context, name, flags, access)
    : await ofConfiguration(context, name, flags, access);
  context.onClose(() => archive.close());
  return archive;
}

function ofAddress(
  context: Context,
  redis: string,
  flags: Values,
  access: ColdAccess,
): Promise<Archive> {
  const { cold, namespace, prefix, compress } = flags;
  const withoutCold = access === 'none';
  if (cold === undefined && !withoutCold)
    throw usageError('archive', 'an address of Redis needs --cold STORE, where its keys go');
  // What is not opened is not checked by its opening.
  if (withoutCold && cold !== undefined) parseStoreUrl(cold);
  const definition = {
    redis,
    cold: withoutCold ? NO_COLD : cold,
    ...(namespace !== undefined && { namespace }),
    ...(prefix !== undefined && { prefix }),
    ...(compress !== undefined && { seal: { compress } }),
    ...overrides(context, flags),
  };
  const { environment } = context;
  return openArchiveDefinition(definition, '', { environment, reading: access === 'read' });
}

async function ofConfiguration(
  context: Context,
  name: string,
  flags: Values,
  access: ColdAccess,
): Promise<Archive> {
  for (const which of ['cold', 'namespace', 'prefix', 'compress'] as const)
    if (flags[which] !== undefined)
      throw usageError('archive', `--${which} goes with an address of Redis, not with a name`);
  const { value, path, file, resolvePath } = await configuredArchive(name, context.flags.config);
  if (typeof value === 'function') {
    if (flags.idle !== undefined)
      throw usageError('archive', `--idle is for what is data; ${name} is made by a function`);
    return made(await value(), name);
  }
  const cold = access === 'none' && { cold: NO_COLD };
  const definition = isData(value) ? { ...value, ...cold, ...overrides(context, flags) } : value;
  const { environment } = context;
  const reading = access === 'read';
  const options = { environment, where: file, resolvePath, reading };
  return openArchiveDefinition(definition, path, options);
}

function overrides({ flags: { timeout } }: Context, { idle }: Values): object {
  return {
    ...(idle !== undefined && { evictAfterMs: idle }),
    ...(timeout !== undefined && { timeoutMs: timeout }),
  };
}

const isData = (value: unknown): value is object => typeof value === 'object' && value !== null;

function made(value: unknown, name: string): Archive {
  if (typeof (value as Partial<Archive> | null)?.rebuildIndex === 'function')
    return value as Archive;
  throw new StrataError('invalid-argument', `open: the function ${name} gives no archive`, {
    operation: 'open',
  });
}
