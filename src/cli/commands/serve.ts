import type { ArchiveEvent } from '../../compositions/archive/index.ts';
import { withoutSecrets } from '../../config/address.ts';
import { ARCHIVE_FLAGS, openArchive } from '../archive/open-archive.ts';
import { told } from '../archive/watch.ts';
import { type Command, defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { type FlagValues, flag, usageError } from '../flags.ts';
import type { ArchiveToShow } from '../serve/archive-figures.ts';
import { serveStore } from '../serve/serve-store.ts';
import { checkToken, randomToken, readToken } from '../serve/token.ts';

const SHOWN_FLAGS = {
  archive: flag.text('ARCHIVE', 'shows this archive in the console'),
  work: flag.on('with --archive: freezes and evicts too (default: only looks)'),
  ...ARCHIVE_FLAGS,
  cold: flag.text('STORE', 'with --work and an address of Redis: where its keys go'),
  idle: flag.duration('with --work: evicts the keys that nobody used for so long'),
};

export const serveCommand: Command = defineCommand({
  name: 'serve',
  summary: 'replicate a store live to browsers and programs, with a web console',
  args: ['STORE'],
  flags: {
    port: flag.port('port to listen on (default: 0, a free one)'),
    host: flag.text('ADDRESS', 'address to listen on (default: 127.0.0.1)'),
    write: flag.on('lets subscribers write'),
    token: flag.opaque(
      'TOKEN',
      'what subscribers must know (default: STRATAKV_TOKEN, else random)',
    ),
    ...SHOWN_FLAGS,
  },
  details: [
    'Prints the address of the console, with the token after #, where no server and no log sees it.',
    'Programs subscribe to ws://ADDRESS:PORT/main. Others on this machine see arguments: give a',
    'token of your own by STRATAKV_TOKEN or --token-file rather than --token. Ctrl-C stops it.',
    'ARCHIVE is a name of "archives" in the configuration, or the address of a Redis. The console then',
    'has a page of it: what is marked, evicted and failing, with the names of failing keys, for whoever',
    'knows the token. By itself this only looks: it freezes nothing, and opens no cold store, unless',
    'a function of the configuration does. With --work it does the work of "stratakv archive watch"',
    'too, and counts what it froze itself.',
  ].join('\n'),
  examples: [
    ['stratakv serve lmdb:./data', 'look into a store with a browser'],
    ['stratakv serve lmdb:./data --write --port 8080', 'let subscribers write too'],
    ['stratakv serve tiers --config strata.config.ts --token-file ./token', 'a composed store'],
    ['stratakv serve memory: --archive sessions', 'look at an archive of the configuration'],
    [
      'stratakv serve memory: --archive redis://127.0.0.1 --cold file:./cold --work',
      'freeze what is marked, and look on',
    ],
  ],
  async run(context, { flags, args }) {
    const [name = ''] = args;
    const token = chooseToken(flags.token, flags['token-file'], context.environment);
    const writable = flags.write === true;
    checkArchiveFlags(flags);
    const { source } = await context.openSource(name, { access: writable ? 'create' : 'read' });
    await serveStore(context, source, {
      name: withoutSecrets(name),
      host: flags.host ?? '127.0.0.1',
      port: flags.port ?? 0,
      token,
      writable,
      archive: await archiveToShow(context, flags),
    });
    return EXIT.ok;
  },
});

type ShownValues = FlagValues<typeof SHOWN_FLAGS>;

function checkArchiveFlags(flags: ShownValues): void {
  const given = Object.keys(SHOWN_FLAGS).filter(
    (name) => flags[name as keyof ShownValues] !== undefined,
  );
  const [first] = given;
  if (flags.archive === undefined && first !== undefined)
    throw usageError('serve', `--${first} goes with --archive ARCHIVE`);
  const ofWork = given.find((name) => name === 'compress' || name === 'idle');
  if (flags.work !== true && ofWork !== undefined)
    throw usageError(
      'serve',
      `--${ofWork} goes with --work: without it nothing is frozen or evicted`,
    );
}

async function archiveToShow(
  context: Context,
  flags: ShownValues,
): Promise<ArchiveToShow | undefined> {
  const { archive: name, work } = flags;
  if (name === undefined) return undefined;
  const archive = await openArchive(context, name, flags, work === true ? 'write' : 'none');
  const shown = { name: withoutSecrets(name), archive };
  if (work !== true) return shown;
  const monitor = (event: ArchiveEvent): void => told(context, event);
  return { ...shown, worker: archive.worker({ autoStart: false, monitor }) };
}

function chooseToken(
  given: string | undefined,
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
): string {
  if (given !== undefined) return checkToken('serve', given, '--token');
  if (file !== undefined) return readToken('serve', file);
  const { STRATAKV_TOKEN: set = '' } = environment;
  return set === '' ? randomToken() : checkToken('serve', set, 'STRATAKV_TOKEN');
}
