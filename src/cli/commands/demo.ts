import { join } from 'node:path';
import { isStrataError } from '../../store/errors.ts';
import { type Command, defineCommand } from '../command.ts';
import { fillStore } from '../demo/fill-store.ts';
import { EXIT } from '../exit-codes.ts';
import { flag } from '../flags.ts';
import { type ServeOptions, serveStore } from '../serve/serve-store.ts';
import { checkToken, keptToken } from '../serve/token.ts';

/** Tried first, so that the address stays the same from day to day. */
const USUAL_PORT = 7420;

export const demoCommand: Command = defineCommand({
  name: 'demo',
  summary: 'fill a store with the documents of installed packages, and serve it',
  args: [],
  flags: {
    data: flag.text('DIR', 'where the store lies (default: ./data)'),
    port: flag.port(`port to listen on (default: ${USUAL_PORT}, or a free one)`),
    packages: flag.text('DIR', 'where the packages are (default: ./node_modules)'),
  },
  details: [
    'Makes an LMDB store, on the first start fills it with package.json and README of every npm',
    'package that is installed here, and serves it with the console, writable. The token is kept',
    'beside the data, so that the address stays the same.',
  ].join('\n'),
  examples: [
    ['stratakv demo', 'begin here'],
    ['stratakv demo --data ../demo --port 8080', 'elsewhere'],
  ],
  async run(context, { flags }) {
    const { data = './data', port, packages = './node_modules' } = flags;
    const { store, source } = await context.openSource(`lmdb:${data}`, { access: 'create' });
    const { STRATAKV_TOKEN: set = '' } = context.environment;
    const token =
      set === ''
        ? keptToken('demo', join(data, 'token'))
        : checkToken('demo', set, 'STRATAKV_TOKEN');
    const options: ServeOptions = {
      name: data,
      host: '127.0.0.1',
      port: port ?? USUAL_PORT,
      token,
      writable: true,
      prepare: () => fillStore(context, store, packages),
    };
    try {
      await serveStore(context, source, options);
    } catch (error) {
      if (port !== undefined || !isStrataError(error, 'unavailable')) throw error;
      await serveStore(context, source, { ...options, port: 0 });
    }
    return EXIT.ok;
  },
});
