import { createHash } from 'node:crypto';
import { COMMIT } from './lua/commit.ts';
import { READ, SCAN, STATE } from './lua/read.ts';
import { OPEN, SWEEP } from './lua/upkeep.ts';
import type { RedisPort, RedisWord } from './port.ts';

/** A script of ours and the name by which Redis knows it. */
export interface Script {
  readonly source: string;
  readonly sha: string;
}

/** A script by its source. */
export function script(source: string): Script {
  // Only the first line matters to a reader of the server's log; blank lines cost nothing.
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

interface Scripts {
  readonly open: Script;
  readonly sweep: Script;
  readonly commit: Script;
  readonly state: Script;
  readonly read: Script;
  readonly scan: Script;
}

/** Every script of the driver. */
export const SCRIPTS: Scripts = {
  open: script(OPEN),
  sweep: script(SWEEP),
  commit: script(COMMIT),
  state: script(STATE),
  read: script(READ),
  scan: script(SCAN),
};

/** Brings scripts to the server, so that none is missing while commits are under way. */
export async function loadScripts(port: RedisPort, scripts: readonly Script[]): Promise<void> {
  await Promise.all(scripts.map(({ source }) => port.send(['SCRIPT', 'LOAD', source])));
}

/** Runs a script by its name, or by its source where the server does not have it (any more). */
export function runScript(
  port: RedisPort,
  { sha, source }: Script,
  keys: readonly string[],
  args: readonly RedisWord[],
): Promise<unknown> {
  const words = ['EVALSHA', sha, String(keys.length), ...keys, ...args];
  return port.send(words).catch((error: unknown) => {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return port.send(['EVAL', source, ...words.slice(2)]);
  });
}
