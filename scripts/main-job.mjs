/**
 * The main job: a store on disk in `./data` (`--data DIR`), filled on the first start with the
 * documents of the installed packages, served with the web console (`--port N`). The work is that of
 * `stratakv demo`.
 */
import { runCli } from '../dist/cli/run-cli.js';

process.exit(await runCli(['demo', ...process.argv.slice(2)]));
