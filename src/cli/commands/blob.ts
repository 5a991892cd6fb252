import { type Blobs, blobs } from '../../blobs/index.ts';
import { show } from '../../store/errors.ts';
import { type Command, type CommandInput, defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { flag, usageError } from '../flags.ts';
import { openInput } from '../read-input.ts';
import { oneLine, showBytes, showCount } from '../terminal/printable.ts';

const FLAGS = {
  anchor: flag.text('NAME', 'put: lets the name stand for what was put'),
  anchors: flag.on('list: names and what they stand for'),
  trees: flag.on('list: refs of the nodes of trees'),
  after: flag.text('REF', 'list: only refs beyond'),
  start: flag.count('N', 'get: from this byte on'),
  end: flag.count('N', 'get: up to before this byte'),
};

type Input = CommandInput<typeof FLAGS>;
type Action = (context: Context, input: Input) => Promise<ExitCode>;

/** What each action does, and how many arguments it takes after STORE: at least, at most. */
const ACTIONS: Readonly<
  Record<string, { readonly run: Action; readonly args: readonly [number, number] }>
> = {
  put: { run: put, args: [0, 1] },
  get: { run: get, args: [1, 1] },
  list: { run: list, args: [0, 0] },
  tree: { run: tree, args: [1, 1] },
};

const REF = /^[0-9a-f]{64}$/;

export const blobCommand: Command = defineCommand({
  name: 'blob',
  summary: 'put, get and list content under its own hash',
  args: ['put|get|list|tree', 'STORE', 'WHAT?'],
  flags: FLAGS,
  details: [
    'put STORE [FILE] cuts a file, or standard input, into chunks, stores those that the store has',
    'not, and prints the ref of the tree over them. get STORE REF|NAME writes the content of a tree',
    'or a blob, or of what an anchor names, and checks it on the way; list STORE the refs of blobs;',
    'tree STORE REF|NAME the nodes and chunks of a tree. Of any file only some chunks are held in',
    'memory. What no anchor names is removed by a sweep, a day after it was put at the earliest.',
  ].join('\n'),
  examples: [
    ['stratakv blob put file:./blobs backup.tar --anchor backup', 'store a file under a name'],
    ['stratakv blob get file:./blobs backup > backup.tar', 'bring it back'],
    ['tar c src | stratakv blob put lmdb:./data', 'from another program'],
    ['stratakv blob list file:./blobs --anchors', 'which names there are'],
  ],
  async run(context, input) {
    const [word = '', , ...rest] = input.args;
    const action = Object.hasOwn(ACTIONS, word) ? ACTIONS[word] : undefined;
    if (action === undefined)
      throw usageError('blob', `${show(word)} is no action; expected put, get, list or tree`);
    const [least, most] = action.args;
    if (rest.length < least) throw usageError('blob', `${word} needs a REF, or an anchor's NAME`);
    if (rest.length > most) throw usageError('blob', `${show(rest[most])} is one too many`);
    return action.run(context, input);
  },
});

async function put(context: Context, { flags, args }: Input): Promise<ExitCode> {
  const [, name = '', path = '-'] = args;
  const input = openInput('blob', path, context.signal);
  const store = await context.open(name, { access: 'create', withoutCopy: true });
  const all = blobs(store);
  const progress = context.progress('storing', 'chunks');
  progress.total = input.totalBytes;
  let before = 0;
  try {
    const done = await all.split(untilStopped(context, input.chunks), {
      ...context.bounds,
      onProgress: ({ bytes }) => {
        progress.advance(1, bytes - before, bytes);
        before = bytes;
      },
    });
    if (flags.anchor !== undefined) await all.anchors.put(flags.anchor, done.ref, context.bounds);
    await context.out.line(context.json ? JSON.stringify(done) : done.ref);
    const fresh = `${showCount(done.addedChunks)} of them new, ${showBytes(done.addedBytes)}`;
    context.note(`stored ${progress.summary()}; ${fresh}`);
  } finally {
    progress.end();
  }
  return EXIT.ok;
}

/** An input that ends because the user wants to stop must not pass for a whole one. */
async function* untilStopped(
  context: Context,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* chunks;
  context.throwIfStopped('blob');
}

async function get(context: Context, { flags, args }: Input): Promise<ExitCode> {
  const all = blobs(await context.open(args[1] ?? ''));
  const ref = await refOf(context, all, args[2] ?? '');
  if (ref === undefined) return EXIT.notFound;
  const { start, end } = flags;
  const range = { ...(start !== undefined && { start }), ...(end !== undefined && { end }) };
  const progress = context.progress('reading', 'pieces');
  const size = progress.enabled ? await all.size(ref, context.bounds) : undefined;
  progress.total = size === undefined ? undefined : Math.min(end ?? size, size) - (start ?? 0);
  let bytes = 0;
  try {
    for await (const part of all.join(ref, { ...range, ...context.bounds })) {
      await context.out.write(part);
      if (context.out.gone) break;
      bytes += part.length;
      progress.advance(1, part.length, bytes);
    }
  } finally {
    progress.end();
  }
  return EXIT.ok;
}

async function list(context: Context, { flags, args }: Input): Promise<ExitCode> {
  const { out, json } = context;
  const all = blobs(await context.open(args[1] ?? ''));
  if (flags.anchors === true) {
    for await (const anchor of all.anchors.list(context.bounds)) {
      const time = new Date(anchor.at).toISOString().slice(0, 19).replace('T', ' ');
      const line = `${anchor.ref}  ${context.style.dim(time)}  ${oneLine(anchor.name)}`;
      await out.line(json ? JSON.stringify(anchor) : line);
    }
    return EXIT.ok;
  }
  const kind = flags.trees === true ? 'tree' : 'blob';
  const after = flags.after === undefined ? {} : { after: flags.after };
  for await (const ref of all.listRefs({ kind, ...after, ...context.bounds }))
    await out.line(json ? JSON.stringify(ref) : ref);
  return EXIT.ok;
}

async function tree(context: Context, { args }: Input): Promise<ExitCode> {
  const { out, json, style } = context;
  const all = blobs(await context.open(args[1] ?? ''));
  const ref = await refOf(context, all, args[2] ?? '');
  if (ref === undefined) return EXIT.notFound;
  for await (const part of all.tree(ref, context.bounds)) {
    const place = style.dim(`${showBytes(part.size).padStart(8)} at ${showCount(part.offset)}`);
    const line = `${'  '.repeat(part.depth)}${part.kind === 'node' ? 'tree ' : ''}${part.ref}`;
    await out.line(json ? JSON.stringify(part) : `${line}  ${place}`);
  }
  return EXIT.ok;
}

/** A ref, or what an anchor stands for; `undefined` where the store has no such content. */
async function refOf(context: Context, all: Blobs, what: string): Promise<string | undefined> {
  if (!REF.test(what)) return (await all.anchors.get(what, undefined, context.bounds))?.ref;
  if (await all.has(what, context.bounds)) return what;
  return undefined;
}
