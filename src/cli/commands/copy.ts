import { StrataError } from '../../store/errors.ts';
import { type Command, defineCommand } from '../command.ts';
import { startCounting } from '../count-keys.ts';
import { EXIT } from '../exit-codes.ts';
import { flag, usageError } from '../flags.ts';
import { EntryWriter } from '../ndjson/entry-writer.ts';
import { showCount } from '../terminal/printable.ts';

export const copyCommand: Command = defineCommand({
  name: 'copy',
  summary: 'copy entries from one store into another',
  args: ['FROM', 'TO'],
  flags: { prefix: flag.text('PREFIX', 'only keys that begin so') },
  details: [
    'Keeps metadata, expiry, immutability and the time of writing; versions and revisions are the',
    'target’s own. Keys that only the target has stay. What is written to the source meanwhile may',
    'be copied or not; run it again, or let the target follow the source, for the rest.',
  ].join('\n'),
  examples: [
    ['stratakv copy lmdb:./data sqlite:./file.db', 'from one kind of store to another'],
    ['stratakv copy ws://127.0.0.1:8080/ lmdb:./mirror', 'from a served store'],
    ['stratakv copy lmdb:./data redis://127.0.0.1:6379/app --prefix user:', 'a part'],
  ],
  async run(context, { flags, args }) {
    const [from = '', to = ''] = args;
    if (from === to) throw usageError('copy', 'FROM and TO are the same store');
    const part = flags.prefix === undefined ? {} : { prefix: flags.prefix };
    const source = await context.open(from, part);
    const target = await context.open(to, { access: 'create', withoutCopy: true });
    const writer = new EntryWriter(target, { operation: 'copy', bounds: context.bounds });
    const progress = context.progress('copying', 'entries');
    const counting = startCounting(context, source, part, progress);
    try {
      for await (const entry of source.list({ ...part, ...context.bounds })) {
        await writer.add(writer.check(entry));
        progress.advance(1, entry.value.length, progress.count + 1);
      }
      await writer.finish();
    } catch (error) {
      if (!(error instanceof StrataError)) throw error;
      const copied = `${showCount(writer.written)} entries were copied`;
      throw new StrataError(error.code, `${error.message}; ${copied}`, {
        operation: 'copy',
        key: error.key,
        cause: error,
        details: { copied: writer.written },
      });
    } finally {
      counting.stop();
      progress.end();
    }
    if (context.json) await context.out.line(JSON.stringify({ copied: writer.written }));
    context.note(`copied ${progress.summary()}`);
    return EXIT.ok;
  },
});
