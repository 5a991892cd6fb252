/** `npm run docs`: the reference of everything public, as pages in `.artifacts/api`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { declaredEntryPoints } from '../test/support/public-api.ts';

const typedoc = spawn(
  'typedoc',
  [
    ...declaredEntryPoints().map(({ source }) => source),
    ...['--tsconfig', 'tsconfig.json', '--out', '.artifacts/api'],
    ...['--excludeInternal', '--excludeExternals', '--treatWarningsAsErrors'],
  ],
  { stdio: 'inherit' },
);
const [code] = await once(typedoc, 'exit');
process.exitCode = code ?? 1;
