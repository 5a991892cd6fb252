import { show } from '../../store/errors.ts';
import {
  type ArchiveTask,
  ensure,
  evict,
  freeze,
  rebuild,
  status,
  verify,
} from '../archive/actions.ts';
import { ARCHIVE_FLAGS, type ColdAccess, openArchive } from '../archive/open-archive.ts';
import { watch } from '../archive/watch.ts';
import { type Command, defineCommand } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { type Flag, flag, usageError } from '../flags.ts';

const share: Flag<number> = {
  kind: 'value',
  placeholder: 'SHARE',
  help: 'verify: looks at this share of all, such as 0.1 (default: 1, all)',
  parse: (text) => {
    const part = Number(text);
    if (!(part > 0 && part <= 1)) throw new Error('a number above 0, at most 1');
    return part;
  },
};

const FLAGS = {
  ...ARCHIVE_FLAGS,
  sample: share,
  restore: flag.on('rebuild: brings back every key that is in the cold store only'),
};

interface Action {
  readonly run: (task: ArchiveTask) => Promise<ExitCode>;
  readonly cold: ColdAccess;
  /** Whether it takes keys. */
  readonly keys: boolean;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  status: { run: status, cold: 'none', keys: false },
  freeze: { run: freeze, cold: 'write', keys: true },
  ensure: { run: ensure, cold: 'read', keys: true },
  evict: { run: evict, cold: 'read', keys: true },
  verify: { run: verify, cold: 'read', keys: false },
  rebuild: { run: rebuild, cold: 'write', keys: false },
  watch: { run: watch, cold: 'write', keys: false },
};

export const archiveCommand: Command = defineCommand({
  name: 'archive',
  summary: 'keep idle keys of a Redis in a cold store, and bring them back',
  args: [Object.keys(ACTIONS).join('|'), 'ARCHIVE', 'KEY...?'],
  flags: FLAGS,
  details: [
    'ARCHIVE is a name of "archives" in the configuration, or with --cold the address of a Redis or,',
    'as redis+cluster://HOST:PORT, of a cluster.',
    'status tells how it stands and what fails; freeze puts what is marked into the cold store, after',
    'marking the KEYs that are named; ensure brings KEYs back; evict takes KEYs, or what was idle for',
    'the time of --idle, out of Redis where the cold store has it as it is; verify compares both',
    'sides; rebuild makes the records of evicted keys anew from the cold store; watch freezes and',
    'evicts until Ctrl-C. All of them may run beside the application and its workers; but a folder of',
    'files takes one process that writes, and freeze, rebuild and watch write: where a worker has it,',
    'it freezes what is marked. ensure, evict and verify only read it, and status does not open it.',
  ].join('\n'),
  examples: [
    ['stratakv archive status sessions', 'an archive of the configuration'],
    ['stratakv archive status redis://127.0.0.1', 'the keys of a Redis'],
    ['stratakv archive watch redis://127.0.0.1 --cold file:./cold --idle 7d', 'a worker'],
    ['stratakv archive status redis+cluster://127.0.0.1:7000', 'the keys of a cluster'],
    ['stratakv archive ensure sessions user:1 user:2', 'bring back two keys'],
    ['stratakv archive verify sessions --sample 0.01', 'look at one key in a hundred'],
    ['stratakv archive rebuild sessions --restore', 'after Redis lost everything'],
  ],
  async run(context, { flags, args }) {
    const [word = '', name = '', ...keys] = args;
    const action = Object.hasOwn(ACTIONS, word) ? ACTIONS[word] : undefined;
    if (action === undefined)
      throw usageError(
        'archive',
        `${show(word)} is no action; expected one of ${Object.keys(ACTIONS).join(', ')}`,
      );
    if (!action.keys && keys.length > 0) throw usageError('archive', `${word} takes no KEY`);
    return action.run({
      context,
      archive: await openArchive(context, name, flags, action.cold),
      keys,
      sample: flags.sample,
      restore: flags.restore === true,
      isIdle: flags.idle !== undefined,
    });
  },
});
