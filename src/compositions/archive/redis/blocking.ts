/** Commands that wait for data: how long, and how to see whether there is some. Pure. */
import type { RedisWord } from '../../../drivers/redis/port.ts';
import {
  type CommandInfo,
  type KeyPlace,
  listOf,
  nameOf,
  recordOf,
  type Words,
} from './command-table.ts';

/** What is looked at: what a command takes from, or how a group stands. */
type Look = 'list' | 'zset' | 'read' | 'group';

/** A command that waits. */
export interface Wait {
  readonly look: Look;
  /** At most so long, in ms; `undefined` where the server is to say what is wrong with it. */
  readonly forMs: number | undefined;
  /** The places of the keys that it waits for. */
  readonly places: readonly number[];
}

interface Form {
  readonly look: Look;
  /** Where the seconds are: behind the name, or at the end. */
  readonly seconds: 'first' | 'last';
  /** Whether it waits for its first key only, and writes the other. */
  readonly moves?: true;
}

const FORMS: Readonly<Record<string, Form>> = {
  BLPOP: { look: 'list', seconds: 'last' },
  BRPOP: { look: 'list', seconds: 'last' },
  BLMPOP: { look: 'list', seconds: 'first' },
  BLMOVE: { look: 'list', seconds: 'last', moves: true },
  BRPOPLPUSH: { look: 'list', seconds: 'last', moves: true },
  BZPOPMIN: { look: 'zset', seconds: 'last' },
  BZPOPMAX: { look: 'zset', seconds: 'last' },
  BZMPOP: { look: 'zset', seconds: 'first' },
};

const isOfStreams = (name: string): boolean => name === 'XREAD' || name === 'XREADGROUP';

/** Whether the command waits for what others do. */
export function isBlocking({ name, flags }: CommandInfo, words: Words): boolean {
  if (!flags.has('blocking')) return false;
  return !isOfStreams(name) || placeOf('BLOCK', words) !== -1;
}

/** Whether it is known how to wait in its place. */
export const canWait = ({ name }: CommandInfo): boolean => isOfStreams(name) || name in FORMS;

/** How a command waits; `undefined` for one that does not. */
export function waitOf(
  info: CommandInfo,
  words: Words,
  keys: readonly KeyPlace[],
): Wait | undefined {
  if (!isBlocking(info, words)) return undefined;
  const places = keys.map(({ at }) => at);
  const form = FORMS[info.name];
  if (form === undefined) {
    const forMs = timeOf(words[placeOf('BLOCK', words) + 1], 1);
    return { look: info.name === 'XREAD' ? 'read' : 'group', forMs, places };
  }
  const seconds = form.seconds === 'first' ? words[1] : words.at(-1);
  return {
    look: form.look,
    forMs: timeOf(seconds, 1_000),
    places: form.moves ? places.slice(0, 1) : places,
  };
}

/** The words by which to see whether a key has something; none where the command itself only reads. */
export function lookAt(look: Look, key: RedisWord): Words | undefined {
  if (look === 'list') return ['LLEN', key];
  if (look === 'zset') return ['ZCARD', key];
  return look === 'group' ? ['XINFO', 'GROUPS', key] : undefined;
}

/** The group that a command reads for. */
export const groupOf = (words: Words): string => String(words[placeOf('GROUP', words) + 1]);

/** What was delivered last to a group, by the answer to XINFO GROUPS. */
export function deliveredTo(group: string, reply: unknown): string | undefined {
  const found = listOf(reply)
    .map(recordOf)
    .find(({ name }) => String(name) === group);
  return found && String(found['last-delivered-id']);
}

/** The places of `$`, which stands for what is in the stream at the time of the call, with the keys meant. */
export function tailsOf(words: Words, { look, places }: Wait): (readonly [number, RedisWord])[] {
  if (look !== 'read') return [];
  return places.flatMap((at) => {
    const id = at + places.length;
    return String(words[id]) === '$' ? [[id, words[at] as RedisWord] as const] : [];
  });
}

/** The id that `$` stands for, by the answer to XINFO STREAM. */
export const lastId = (reply: unknown): string => String(recordOf(reply)['last-generated-id']);

/** Words of an option that is no pair; all are before the streams. */
const OPTION_WORDS: Readonly<Record<string, number>> = { GROUP: 3, NOACK: 1 };

/** Where an option is; -1 where it is not. A group, or a consumer, may be called like one. */
function placeOf(option: string, words: Words): number {
  let at = 1;
  while (at < words.length) {
    const name = nameOf(words[at]);
    if (name === option) return at;
    if (name === 'STREAMS') return -1;
    at += OPTION_WORDS[name] ?? 2;
  }
  return -1;
}

function timeOf(word: RedisWord | undefined, unitMs: number): number | undefined {
  const time = Number(String(word ?? ''));
  if (!(time >= 0)) return undefined;
  return time === 0 ? Number.POSITIVE_INFINITY : time * unitMs;
}
