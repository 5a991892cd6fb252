import { withoutSecrets } from '../../config/address.ts';
import { type Command, defineCommand } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { flag } from '../flags.ts';
import { serveStore } from '../serve/serve-store.ts';
import { checkToken, randomToken, readToken } from '../serve/token.ts';

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
  },
  details: [
    'Prints the address of the console, with the token after #, where no server and no log sees it.',
    'Programs subscribe to ws://ADDRESS:PORT/main. Others on this machine see arguments: give a',
    'token of your own by STRATAKV_TOKEN or --token-file rather than --token. Ctrl-C stops it.',
  ].join('\n'),
  examples: [
    ['stratakv serve lmdb:./data', 'look into a store with a browser'],
    ['stratakv serve lmdb:./data --write --port 8080', 'let subscribers write too'],
    ['stratakv serve tiers --config strata.config.ts --token-file ./token', 'a composed store'],
  ],
  async run(context, { flags, args }) {
    const [name = ''] = args;
    const token = chooseToken(flags.token, flags['token-file'], context.environment);
    const writable = flags.write === true;
    const { source } = await context.openSource(name, { access: writable ? 'create' : 'read' });
    await serveStore(context, source, {
      name: withoutSecrets(name),
      host: flags.host ?? '127.0.0.1',
      port: flags.port ?? 0,
      token,
      writable,
    });
    return EXIT.ok;
  },
});

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
