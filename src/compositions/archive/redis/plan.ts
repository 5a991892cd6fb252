/** What has to be done around one command. Pure. */
import { failure } from '../../../store/errors.ts';
import { isInside, type KeyBounds, namedBytes } from '../hot-key.ts';
import { bytesOf, type CommandInfo, idOf, type KeyPlace, type Words } from './command-table.ts';
import { deletesAll, mayRemove, replacesAll } from './rules.ts';

/** A command with what the archive does around it. Keys that are not archived appear in `uses` only. */
export interface Planned {
  readonly words: Words;
  /** All its keys, and whether it may change them: commands that share one keep their order. */
  readonly uses: ReadonlyMap<string, boolean>;
  /** Keys that must not be evicted when it runs. */
  readonly needs: readonly Buffer[];
  /** Keys that are marked after it, where they are there. */
  readonly writes: readonly Buffer[];
  /** Those of them that it gives new values whatever they had, so that they may be evicted. */
  readonly replaces: readonly Buffer[];
  /** Keys that are marked before it, where they are there: after it they may be gone. */
  readonly removes: readonly Buffer[];
  /** DEL and UNLINK of archived keys, which the archive does itself. */
  readonly deletes: readonly Buffer[];
}

/** A command without keys, or sent as it is. */
export const bare = (words: Words): Planned => ({
  words,
  uses: new Map(),
  needs: [],
  writes: [],
  replaces: [],
  removes: [],
  deletes: [],
});

/** Plans a command. Errors: `invalid-argument` for the archive's own keys. */
export function plan(
  info: CommandInfo,
  words: Words,
  places: readonly KeyPlace[],
  bounds: KeyBounds,
): Planned {
  const uses = new Map<string, boolean>();
  const needs: Buffer[] = [];
  const writes: Buffer[] = [];
  for (const place of places) {
    const word = words[place.at] as string | Buffer;
    const id = idOf(word);
    uses.set(id, (uses.get(id) ?? false) || place.writes);
    const bytes = bytesOf(word);
    checkForeign(info, bytes, bounds);
    if (!isInside(bytes, bounds)) continue;
    needs.push(bytes);
    if (place.writes) writes.push(bytes);
  }
  if (writes.length === 0) return { ...bare(words), uses, needs };
  if (deletesAll(info) && needs.length === places.length)
    return { ...bare(words), uses, deletes: needs };
  const isWhole = replacesAll(info, words);
  return {
    ...bare(words),
    uses,
    needs: isWhole ? [] : needs,
    writes,
    replaces: isWhole ? writes : [],
    removes: mayRemove(info, words) ? writes : [],
  };
}

/** What several commands do, as one. */
export function together(commands: readonly Planned[]): Omit<Planned, 'words'> {
  const uses = new Map<string, boolean>();
  for (const command of commands)
    for (const [id, writes] of command.uses) uses.set(id, (uses.get(id) ?? false) || writes);
  const once = (of: (command: Planned) => readonly Buffer[]): Buffer[] => {
    const found = new Map<string, Buffer>();
    for (const command of commands)
      for (const key of of(command)) found.set(key.toString('latin1'), key);
    return [...found.values()];
  };
  return {
    uses,
    needs: once(({ needs }) => needs),
    writes: once(({ writes }) => writes),
    replaces: once(({ replaces }) => replaces),
    removes: once(({ removes }) => removes),
    deletes: once(({ deletes }) => deletes),
  };
}

function checkForeign(info: CommandInfo, key: Buffer, { namespace }: KeyBounds): void {
  const own = Buffer.from(`${namespace}:`);
  if (!key.subarray(0, own.length).equals(own)) return;
  const { shown } = namedBytes(key);
  throw failure(
    'invalid-argument',
    info.name,
    `the key ${JSON.stringify(shown)} is one of the archive's own`,
    { key: shown },
  );
}
