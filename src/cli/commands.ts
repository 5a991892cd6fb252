import type { Command } from './command.ts';
import { archiveCommand } from './commands/archive.ts';
import { blobCommand } from './commands/blob.ts';
import { configCommand } from './commands/config.ts';
import { copyCommand } from './commands/copy.ts';
import { deleteCommand } from './commands/delete.ts';
import { demoCommand } from './commands/demo.ts';
import { exportCommand } from './commands/export.ts';
import { getCommand } from './commands/get.ts';
import { importCommand } from './commands/import.ts';
import { infoCommand } from './commands/info.ts';
import { listCommand } from './commands/list.ts';
import { serveCommand } from './commands/serve.ts';
import { setCommand } from './commands/set.ts';
import { watchCommand } from './commands/watch.ts';

/** Every command, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  getCommand,
  setCommand,
  deleteCommand,
  listCommand,
  watchCommand,
  importCommand,
  exportCommand,
  copyCommand,
  blobCommand,
  archiveCommand,
  infoCommand,
  configCommand,
  serveCommand,
  demoCommand,
];
