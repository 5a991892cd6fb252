import { describeStore } from '../../store/internals.ts';
import type { Shape } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { type Command, defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { flag } from '../flags.ts';
import { oneLine, showBytes, showCount } from '../terminal/printable.ts';
import type { Style } from '../terminal/style.ts';

interface Count {
  readonly keys: number;
  readonly bytes: number;
}

export const infoCommand: Command = defineCommand({
  name: 'info',
  summary: 'show what a store is made of and can do',
  args: ['STORE'],
  flags: { count: flag.on('count keys and bytes, by reading everything') },
  examples: [
    ['stratakv info lmdb:./data', 'composition, abilities, head'],
    ['stratakv info tiers --config strata.config.ts --count', 'a composed store, counted'],
    ['stratakv info redis://127.0.0.1:6379/app --json', 'the same for a program'],
  ],
  async run(context, { flags, args }) {
    const store = await context.open(args[0] ?? '', { withoutCopy: flags.count !== true });
    const { capabilities } = store;
    const shape = describeStore(store);
    const cursor = capabilities.feed ? await store.cursor(context.bounds) : undefined;
    const counted = flags.count === true ? await count(context, store) : undefined;
    const { out, json, style } = context;
    if (json) {
      await out.line(JSON.stringify({ shape, capabilities, cursor, ...counted }));
      return EXIT.ok;
    }
    const rows = Object.entries(capabilities).map(
      ([name, value]) => [name, String(value)] as const,
    );
    if (cursor !== undefined) rows.push(['cursor', cursor]);
    if (counted !== undefined) {
      rows.push(['keys', showCount(counted.keys)], ['size of values', showBytes(counted.bytes)]);
    }
    await out.line(drawShape(shape, style).join('\n'));
    await out.line('');
    for (const [name, value] of rows) await out.line(`${style.dim(name.padEnd(16))}${value}`);
    return EXIT.ok;
  },
});

async function count(context: Context, store: Store<Uint8Array>): Promise<Count> {
  const progress = context.progress('counting', 'keys');
  let keys = 0;
  let bytes = 0;
  try {
    for await (const { value } of store.list(context.bounds)) {
      keys++;
      bytes += value.length;
      progress.advance(1, value.length, keys);
    }
  } finally {
    progress.end();
  }
  return { keys, bytes };
}

/** A composition as a tree: `tiered` over `├─ front: memory` and `└─ back: lmdb`. */
export function drawShape(shape: Shape, style: Style): string[] {
  const details = Object.entries(shape.details ?? {}).map(
    ([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const title = style.bold(shape.type);
  const head = details.length === 0 ? title : `${title}  ${style.dim(oneLine(details.join(', ')))}`;
  const parts = Object.entries(shape.parts ?? {});
  const below = parts.flatMap(([role, part], index) => {
    const last = index === parts.length - 1;
    return drawShape(part, style).map((line, row) => {
      if (row === 0) return `${last ? '└─' : '├─'} ${style.cyan(role)}: ${line}`;
      return `${last ? '  ' : '│ '} ${line}`;
    });
  });
  return [head, ...below];
}
