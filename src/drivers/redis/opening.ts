import type { Durability } from '../../store/capabilities.ts';
import { invalidArgument, StrataError } from '../../store/errors.ts';
import { isReply, replyFailure } from './failures.ts';
import type { Layout } from './layout.ts';
import { REPLY } from './lua/prelude.ts';
import type { RedisPort } from './port.ts';
import { loadScripts, runScript, SCRIPTS, type Script } from './script.ts';

/** What a store says of itself when it is opened. */
export interface Opened {
  readonly storeId: string;
  readonly epoch: string;
  /** First revision and name of every epoch, oldest first. */
  readonly epochs: readonly { readonly from: number; readonly epoch: string }[];
  /** A command that commits need and the user may not run; empty when there is none. */
  readonly missingRight: string;
}

/** Opens the store over a connection: makes it where there is none, begins a new epoch where history may have been rewound. */
export async function openStore(
  port: RedisPort,
  layout: Layout,
  candidates: { readonly storeId: string; readonly epoch: string },
): Promise<Opened> {
  const { storeId, epoch } = candidates;
  let reply: unknown;
  try {
    reply = await runScript(port, SCRIPTS.open, layout.keys, [storeId, epoch, layout.channel]);
  } catch (error) {
    if (!isReply(error)) throw error;
    if (error.message.includes('WRONGTYPE')) throw alien('a key there holds other data', error);
    throw replyFailure(error, 'open');
  }
  if (!Array.isArray(reply)) throw alien(String(reply));
  const [status, id, current, history, missing] = reply as unknown[];
  if (status !== REPLY.done) throw alien('the store did not open');
  return {
    storeId: String(id),
    epoch: String(current),
    epochs: parseEpochs(String(history)),
    missingRight: String(missing),
  };
}

function parseEpochs(history: string): Opened['epochs'] {
  return history.split(',').map((pair) => {
    const [from, epoch = ''] = pair.split(' ');
    return { from: Number(from), epoch };
  });
}

function alien(why: string, cause?: unknown): StrataError {
  return new StrataError(
    'invalid-argument',
    `open: the prefix is not that of a store: ${why}; expected an unused prefix or one of a store`,
    { operation: 'open', cause },
  );
}

/** What a store needs of its server. */
export interface ServerNeeds {
  readonly durability: Durability;
  readonly scripts: readonly Script[];
  /** Whether a server that evicts by this policy would remove what the store keeps. */
  refuses(policy: string): boolean;
}

/** Brings the scripts, and refuses a server that does not keep what the store promises. */
export async function prepareServer(port: RedisPort, needs: ServerNeeds): Promise<void> {
  const { durability, scripts } = needs;
  const [settings] = await Promise.all([readSettings(port), loadScripts(port, scripts)]);
  const policy = settings.get('maxmemory-policy') ?? '';
  if (policy !== '' && needs.refuses(policy) && settings.get('maxmemory') !== '0')
    throw invalidArgument(
      'open',
      "the server's maxmemory-policy",
      policy,
      needs.refuses('volatile-ttl')
        ? 'noeviction, or a store that allows eviction: this one would remove entries of the store'
        : 'noeviction or a volatile policy: this one would remove parts of the store',
    );
  const fsync = settings.get('appendonly') === 'yes' ? settings.get('appendfsync') : 'no';
  // What the server does not tell is believed.
  const kept = !settings.has('appendonly') || fsync === 'always';
  if ((durability === 'os' || durability === 'disk') && !kept)
    throw new StrataError(
      'invalid-argument',
      `open: the option durability is '${durability}', and the server acknowledges writes before they are on disk; expected a server with appendonly yes and appendfsync always`,
      { operation: 'open' },
    );
}

const SETTINGS = ['maxmemory', 'maxmemory-policy', 'appendonly', 'appendfsync'] as const;

/** The server's settings; none where it does not tell them, as hosted ones do not. */
async function readSettings(port: RedisPort): Promise<Map<string, string>> {
  const settings = new Map<string, string>();
  await Promise.all(
    SETTINGS.map(async (name) => {
      try {
        const pair = (await port.send(['CONFIG', 'GET', name])) as unknown[];
        if (pair.length >= 2) settings.set(name, String(pair[1]));
      } catch (error) {
        if (!isReply(error)) throw error;
      }
    }),
  );
  return settings;
}
