/**
 * `node scripts/run.mjs FILE ARGS…`: sets the clone up, then runs FILE with the repository's Node and
 * programs. This is how every npm script begins, so it must itself run on Node 20.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { environment, root, SetupError, setUp } from './setup.mjs';

const [script, ...args] = process.argv.slice(2);
if (script === undefined) {
  process.stderr.write('usage: node scripts/run.mjs FILE [ARGUMENT…]\n');
  process.exit(2);
}

let node;
try {
  node = setUp();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`setup: ${error.message}\n`);
  process.exit(1);
}

const child = spawn(node, [script, ...args], {
  cwd: root,
  env: environment(node),
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    // A terminal sends Ctrl-C to the child as well; it should arrive once.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on('exit', (code, signal) => {
  process.exitCode = code ?? 128 + constants.signals[signal];
});
