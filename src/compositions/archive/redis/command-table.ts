/** Which words of a command are keys, by the server's own table of its commands. Pure. */
import type { RedisWord } from '../../../drivers/redis/port.ts';

/** A command as it goes over the wire: its name, and its arguments. */
export type Words = readonly RedisWord[];

/** A key within a command. */
export interface KeyPlace {
  /** Its place among the words. */
  readonly at: number;
  /** Whether the command may change it. */
  readonly writes: boolean;
}

/** What the server tells of a command. */
export interface CommandInfo {
  /** In capitals; with the subcommand after a `|` where there is one. */
  readonly name: string;
  readonly flags: ReadonlySet<string>;
  readonly specs: readonly KeySpec[];
}

/** Where keys begin, and how many there are. */
interface KeySpec {
  readonly writes: boolean;
  /** Whether the server alone knows. */
  readonly vague: boolean;
  readonly begin: Readonly<Record<string, unknown>>;
  readonly find: Readonly<Record<string, unknown>>;
}

/** The answer to COMMAND. */
export class CommandTable {
  readonly #commands = new Map<string, CommandInfo>();

  constructor(reply: unknown) {
    for (const item of listOf(reply)) this.#add(item);
  }

  /** The command that the words are; `undefined` where the server had none of that name. */
  find(words: Words): CommandInfo | undefined {
    const name = nameOf(words[0]);
    const sub = words.length > 1 ? `${name}|${nameOf(words[1])}` : name;
    return this.#commands.get(sub) ?? this.#commands.get(name);
  }

  /** Whether the server has a command of this name, in capitals; a subcommand with its `|`. */
  has(name: string): boolean {
    return this.#commands.has(name);
  }

  #add(item: unknown): void {
    const [name, , flags, , , , , , specs, subcommands] = listOf(item);
    const known = nameOf(name as RedisWord);
    this.#commands.set(known, {
      name: known,
      flags: new Set(listOf(flags).map(String)),
      specs: listOf(specs).flatMap(toSpec),
    });
    for (const subcommand of listOf(subcommands)) this.#add(subcommand);
  }
}

/** Where the keys are among the words; `ask` where only the server can tell. */
export function keyPlaces(info: CommandInfo, words: Words): readonly KeyPlace[] | 'ask' {
  const found = new Map<number, boolean>();
  for (const spec of info.specs) {
    if (spec.vague) return 'ask';
    for (const at of placesOf(spec, words))
      found.set(at, (found.get(at) ?? false) || spec.writes || info.name === 'XREADGROUP');
  }
  if (info.specs.length === 0 && info.flags.has('movablekeys')) return 'ask';
  return [...found].map(([at, writes]) => ({ at, writes }));
}

/** What COMMAND GETKEYSANDFLAGS answered, as places: those of the words that are these keys. */
export function placesFromReply(reply: unknown, words: Words): readonly KeyPlace[] {
  const writes = new Map<string, boolean>();
  for (const item of listOf(reply)) {
    const [key, flags] = listOf(item);
    const id = idOf(key as RedisWord);
    const isWrite = !listOf(flags).map(String).includes('RO');
    writes.set(id, (writes.get(id) ?? false) || isWrite);
  }
  return words.flatMap((word, at) => {
    const isWrite = at === 0 ? undefined : writes.get(idOf(word));
    return isWrite === undefined ? [] : [{ at, writes: isWrite }];
  });
}

/** The bytes of a word as a string, one character for each. */
export function idOf(word: RedisWord): string {
  return bytesOf(word).toString('latin1');
}

export function bytesOf(word: RedisWord): Buffer {
  return typeof word === 'string' ? Buffer.from(word) : word;
}

/** A word that is a name or keyword, in capitals. */
export function nameOf(word: RedisWord | undefined): string {
  return String(word ?? '').toUpperCase();
}

function placesOf({ begin, find }: KeySpec, words: Words): number[] {
  const first = firstOf(begin, words);
  if (first === undefined || first >= words.length) return [];
  const step = Math.max(1, Number(find.keystep ?? 1));
  const places: number[] = [];
  const upTo = (last: number, from: number): number[] => {
    for (let at = from; at <= last && at < words.length; at += step) places.push(at);
    return places;
  };
  if ('keynumidx' in find) {
    const count = String(words[first + Number(find.keynumidx)] ?? '');
    // What is no number is an error to the server too.
    if (!/^[1-9]\d{0,8}$/.test(count)) return [];
    const from = first + Number(find.firstkey);
    return upTo(from + (Number(count) - 1) * step, from);
  }
  const [lastKey, limit] = [Number(find.lastkey), Number(find.limit)];
  if (lastKey >= 0) return upTo(first + lastKey, first);
  const part = limit > 1 ? Math.floor((words.length - first) / limit) : words.length - first;
  return upTo(first + part + lastKey, first);
}

function firstOf(begin: Readonly<Record<string, unknown>>, words: Words): number | undefined {
  if ('index' in begin) return Number(begin.index);
  const keyword = nameOf(begin.keyword as RedisWord);
  const from = Number(begin.startfrom);
  const step = from < 0 ? -1 : 1;
  for (let at = from < 0 ? words.length + from : from; at > 0 && at < words.length; at += step)
    if (nameOf(words[at]) === keyword) return at + 1;
  return undefined;
}

function toSpec(item: unknown): KeySpec[] {
  const { flags, begin_search, find_keys } = recordOf(item);
  const told = new Set(listOf(flags).map(String));
  // A channel, for instance.
  if (told.has('not_key')) return [];
  const begin = recordOf(begin_search);
  const find = recordOf(find_keys);
  const vague = told.has('incomplete') || isVague(begin) || isVague(find);
  const places = { begin: recordOf(begin.spec), find: recordOf(find.spec) };
  return [{ writes: !told.has('RO'), vague, ...places }];
}

const isVague = ({ type }: Readonly<Record<string, unknown>>): boolean =>
  !['index', 'keyword', 'range', 'keynum'].includes(String(type));

/** A list, or a set of the third version of the protocol. */
export function listOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return value instanceof Set ? [...value] : [];
}

/** A map, which in the second version of the protocol is a list of names and values. */
export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  if (value instanceof Map) return recordOf([...value].flat());
  if (!Array.isArray(value)) return (value ?? {}) as Record<string, unknown>;
  const record: Record<string, unknown> = {};
  for (let at = 0; at + 1 < value.length; at += 2) record[String(value[at])] = value[at + 1];
  return record;
}
