import { type Command, defineCommand } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { flag, usageError } from '../flags.ts';

export const deleteCommand: Command = defineCommand({
  name: 'delete',
  summary: 'delete keys',
  args: ['STORE', 'KEY...'],
  flags: { 'if-version': flag.opaque('VERSION', 'only this version; one key only') },
  details: 'Several keys go in one step. Exits with 1 where a key was not there.',
  examples: [
    ['stratakv delete lmdb:./data user:1 user:2', 'delete two keys'],
    ['stratakv delete lmdb:./data lock --if-version V', 'delete only what was read before'],
    [
      'stratakv list lmdb:./data --prefix tmp/ --keys | xargs stratakv delete lmdb:./data',
      'delete a prefix',
    ],
  ],
  async run(context, { flags, args }) {
    const [name = '', ...keys] = args;
    const version = flags['if-version'];
    if (version !== undefined && keys.length > 1)
      throw usageError('delete', `--if-version is for one key; got ${keys.length}`);
    const store = await context.open(name, { access: 'write', withoutCopy: true });
    const wanted = new Set(keys);
    const deleted =
      version === undefined
        ? await store.deleteMany(wanted, context.bounds)
        : Number(await store.delete(keys[0] ?? '', { if: { version }, ...context.bounds }));
    if (context.json) await context.out.line(JSON.stringify({ deleted }));
    else context.note(`deleted ${deleted} of ${wanted.size}`);
    return deleted === wanted.size ? EXIT.ok : EXIT.notFound;
  },
});
