#!/usr/bin/env node
/** The `stratakv` command. */
import { enableCompileCache } from 'node:module';

// Before anything else is loaded: most of a short command's time is compiling it.
enableCompileCache();
const { runCli } = await import('./run-cli.ts');
// Everything is written and closed by now; what a configured store left open must not keep us.
process.exit(await runCli(process.argv.slice(2)));
