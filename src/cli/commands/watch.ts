import type { Change, Commit, Cursor } from '../../store/entry.ts';
import { isStrataError } from '../../store/errors.ts';
import { type Command, defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { flag } from '../flags.ts';
import { changeJson } from '../ndjson/record.ts';
import { oneLine, showBytes } from '../terminal/printable.ts';

export const watchCommand: Command = defineCommand({
  name: 'watch',
  summary: 'write changes as they happen',
  args: ['STORE'],
  flags: {
    prefix: flag.text('PREFIX', 'only keys that begin so'),
    after: flag.opaque(
      'CURSOR|start',
      'go on after a cursor, or begin with all there is (default: now)',
    ),
  },
  details: [
    'One line a change; with --json one line a commit, with the cursor to go on from. A cursor that',
    'the store can no longer continue exits with 3. Ends with Ctrl-C.',
  ].join('\n'),
  examples: [
    ['stratakv watch lmdb:./data', 'what changes from now on'],
    [
      'stratakv watch lmdb:./data --after start --prefix user: --json',
      'all users, then their changes',
    ],
    ['stratakv watch lmdb:./data --json --after CURSOR', 'go on where an earlier watch ended'],
  ],
  async run(context, { flags, args }) {
    const { prefix, after } = flags;
    const store = await context.open(args[0] ?? '', prefix === undefined ? {} : { prefix });
    const commits = store.watch({
      signal: context.signal,
      ...(prefix !== undefined && { prefix }),
      ...(after !== undefined && { after: after as Cursor | 'start' }),
    });
    try {
      for await (const commit of commits) await writeCommit(context, commit);
    } catch (error) {
      // Ctrl-C is how a watch ends.
      if (!context.signal.aborted || !isStrataError(error, 'aborted')) throw error;
    }
    return EXIT.ok;
  },
});

async function writeCommit(context: Context, commit: Commit<Uint8Array>): Promise<void> {
  const { out, json } = context;
  if (json) {
    const { from, to, cursor, writes } = commit;
    const head = JSON.stringify({ from, to, cursor }).slice(0, -1);
    await out.line(`${head},"writes":[${writes.map(changeJson).join(',')}]}`);
    return;
  }
  for (const change of commit.writes) await out.line(changeText(context, change));
}

function changeText({ style }: Context, change: Change<Uint8Array>): string {
  const rev = style.dim(String(change.rev ?? '').padStart(8));
  const key = oneLine(change.key);
  return change.type === 'delete'
    ? `${rev}  ${style.red('delete')}  ${key}`
    : `${rev}  ${style.green('set   ')}  ${key}  ${style.dim(showBytes(change.value.length))}`;
}
