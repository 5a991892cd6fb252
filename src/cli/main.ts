#!/usr/bin/env node
/** The `stratakv` command. This file loads on any Node, to tell an old one that it is too old. */
import * as nodeModule from 'node:module';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `stratakv: unsupported: Node is ${process.versions.node}; expected 22.18 or newer\n`,
  );
  process.exit(2);
}
// Before anything else is loaded: most of a short command's time is compiling it.
nodeModule.enableCompileCache();
const { runCli } = await import('./run-cli.ts');
// Everything is written and closed by now; what a configured store left open must not keep us.
process.exit(await runCli(process.argv.slice(2)));
