import type { Durability } from '../../store/capabilities.ts';
import { invalidArgument } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import type { Definitions } from '../definitions.ts';
import * as is from '../fields.ts';
import { timeoutMs } from './common-fields.ts';
import { first, type Options, opened, type StandIn, type TypeSpec } from './type-spec.ts';

const { value } = is;

const retry = (doc: string): is.GroupField =>
  is.group(
    {
      minMs: value(is.durationMs, 'First pause, in ms.'),
      maxMs: value(is.durationMs, 'Longest pause, in ms.'),
    },
    doc,
  );

const no: is.Shape = {
  rule: { expected: 'false', accepts: (v) => v === false },
  schema: { const: false },
};

export const tiered: TypeSpec<Definitions['tiered']> = {
  kind: 'composition',
  doc: 'A fast front over the store that counts, as one store.',
  fields: {
    front: is.part('The fast store: holds copies. It belongs to this store alone.'),
    back: is.part('The store that counts.'),
    write: value(
      is.oneOf('through', 'behind', 'around', 'front-only'),
      'Where writes go. `through`: to the back, then to the front. `behind`: to a journal, and from there to the back. `around`: to the back; the front’s copy is removed. `front-only`: to the front, over a back that never changes. Default `through`.',
    ),
    read: value(
      is.oneOf('front-first', 'front-only'),
      'Where reads go. `front-first`: to the front, and on a miss to the back. `front-only`: to the front. Default `front-first`.',
    ),
    ttlMs: value(
      is.durationMs,
      'How long a copy of the front is fresh, in ms. Default until it is replaced.',
    ),
    staleWhileRevalidateMs: value(
      is.durationMs,
      'For so long after `ttlMs` a copy is still served while one read of the back refreshes it, in ms; default 0.',
    ),
    graceMs: value(
      is.durationMs,
      'For so long after `ttlMs` a copy is still served when the back is away, in ms; default 0.',
    ),
    negativeTtlMs: value(
      is.durationMs,
      'How long it is remembered that a key does not exist, in ms; default 0.',
    ),
    follow: value(is.boolean, 'Whether the front follows the back’s feed. Default false.'),
    maxLagMs: value(
      is.durationMs,
      'With `follow`: a copy is not served while the front may be older than this, in ms; default no limit.',
    ),
    populate: value(
      is.oneOf('background', 'await'),
      'Whether a miss waits until its copy stands in the front. Default `background`.',
    ),
    backTimeoutMs: value(is.durationMs, 'Longest wait for the back, in ms; default 2,000.'),
    breaker: is.group(
      {
        failures: value(
          is.positive,
          'So many calls of the back in a row fail before it is left alone; default 5.',
        ),
        pauseMs: value(is.durationMs, 'First pause, in ms; default 500. It doubles.'),
        maxPauseMs: value(is.durationMs, 'Longest pause, in ms; default 10,000.'),
      },
      'When the back is left alone after failures, so that calls fail at once; `false`: never.',
      { or: no },
    ),
    frontTimeoutMs: value(
      is.durationMs,
      'Longest wait for the front, in ms; default 1,000. Then it counts as a miss.',
    ),
    maxFenced: value(
      is.count,
      'Most keys to remember whose copies could not be updated; default 100,000.',
    ),
    warmOnOpen: is.group(
      {
        strategy: value(
          is.oneOf('fill-missing', 'mirror'),
          'Which keys are copied; default `fill-missing`.',
        ),
        prefix: is.named(
          is.textLike(
            {
              expected: 'the beginning of a key',
              accepts: (v) => typeof v === 'string' && v.isWellFormed() && v.charCodeAt(0) !== 0,
            },
            '^([^\\u0000][^]*)?$',
          ),
          'Only keys that begin so; default all.',
        ),
        batchKeys: value(is.positive, 'Keys of a batch; default 256.'),
        concurrency: value(is.positive, 'Batches under way at once; default 4.'),
      },
      'Fills the front from the opening on; `true` with the defaults. Default false.',
      { or: is.boolean },
    ),
    journal: {
      kind: 'store',
      doc: 'With `behind`: where acknowledged writes are kept until the back has them: `front`, which must be durable, `volatile`, where a crash loses them, or a store. Default `front` where that is durable.',
      or: is.oneOf('front', 'volatile'),
    },
    maxPending: is.group(
      {
        keys: value(is.positive, 'Most keys; default 100,000.'),
        bytes: value(is.positive, 'Most bytes; default 64 MiB.'),
      },
      'With `behind`: bounds of what is pending.',
    ),
    whenFull: value(
      is.oneOf('block', 'reject'),
      'With `behind`: whether writes wait while that much is pending, or fail with `overloaded`. Default `block`.',
    ),
    onConflict: value(
      is.oneOf('overwrite', 'keep-back'),
      'With `behind`: what counts when somebody else changed a key in the back. Default `overwrite`.',
    ),
    retry: retry('With `behind`: pauses between tries; default from 100 to 30,000.'),
    leaseMs: value(
      is.durationMs,
      'With `behind`: how long the owner of a journal may be silent before another may take it over, in ms; default 3,000.',
    ),
    timeoutMs,
  },
  load: async () => {
    const { tiered } = await import('../../compositions/tiered/index.ts');
    return (options) => opened(tiered(options as never));
  },
  check: async (options) => {
    const { checkTieredOptions } = await import('../../compositions/tiered/options.ts');
    checkTieredOptions(options as never);
    if (typeof options.journal !== 'object') return;
    const { checkJournalStore } = await import('../../kernel/journal/check-journal-store.ts');
    const journal = primitivesOf(options.journal as Store<never>);
    checkJournalStore('tiered', 'the option journal', journal);
  },
  traits: (options, parts) => {
    const [front, back, [journal]] = [
      first(parts('front')),
      first(parts('back')),
      parts('journal'),
    ];
    if (options.write === 'front-only') return { ...front, evicts: false };
    if (options.write !== 'behind') return { ...back, evicts: false };
    const { durability } =
      options.journal === 'volatile' ? { durability: 'memory' as const } : (journal ?? front);
    return { ...back, feed: true, evicts: false, durability };
  },
};

export const replica: TypeSpec<Definitions['replica']> = {
  kind: 'composition',
  doc: 'Several stores as one: a synchronous set and an asynchronous set.',
  fields: {
    sync: {
      kind: 'stores',
      least: 1,
      required: true,
      doc: 'The stores that a write waits for. The first gives the order, and must have a feed.',
    },
    async: {
      kind: 'stores',
      least: 0,
      doc: 'Stores that get every write later, and are not read from. Default none.',
    },
    write: value(
      is.either(is.oneOf('all'), is.positive),
      'How many synchronous stores, the first included, have a write before it is acknowledged. Default `all`.',
    ),
    intents: value(
      is.boolean,
      'Whether a write without conditions goes to all synchronous stores at the same time: to those that answer late as a record beside their entries, which the entry follows. Default true, where `write` is `all`.',
    ),
    read: value(
      is.oneOf('first', 'hedged'),
      '`first`: all synchronous stores are asked and the first success counts. `hedged`: the next is asked when the one before takes longer than it mostly does. Default `first`.',
    ),
    queueLength: value(
      is.positive,
      'Most changes that wait for one store; a writer then waits. Default 1,000.',
    ),
    queueBytes: value(is.positive, 'Most bytes that wait for one store, roughly; default 64 MiB.'),
    everyWrite: value(
      is.boolean,
      'Whether an asynchronous store gets every single write, in order, instead of the newest of each key. Default false.',
    ),
    asyncFailure: value(
      is.oneOf('isolate', 'fail-store'),
      'What the failure of an asynchronous store means. `isolate`: it is tried again and brought up to date. `fail-store`: every further call fails with its cause. Default `isolate`.',
    ),
    journal: {
      kind: 'store',
      doc: 'Keeps every write until all asynchronous stores have it, so that none is lost with first stores that lose their data. A durable store of its own, with atomic batches; a replica that has one is always to be opened with it. Default none.',
    },
    journalBytes: value(
      is.positive,
      'Most bytes that the journal holds, in memory too; a writer then waits. Default 64 MiB.',
    ),
    memberTimeoutMs: value(
      is.durationMs,
      'Longest wait for one call of a member in the background, in ms; default 2,000.',
    ),
    retry: retry('Pauses before a member that failed is tried again; default from 100 to 5,000.'),
    maxFenced: value(
      is.count,
      'Most keys a member for which it is remembered that it is behind; default 100,000.',
    ),
    timeoutMs,
  },
  load: async () => {
    const { replica } = await import('../../compositions/replica/index.ts');
    return (options) => opened(replica(options as never));
  },
  check: async (options) => {
    const { checkReplicaOptions } = await import('../../compositions/replica/options.ts');
    checkReplicaOptions(options as never);
    checkMembers(options);
  },
  traits: (_, parts) => {
    const members = parts('sync');
    const best = Math.max(...members.map(({ durability }) => DURABILITIES.indexOf(durability)));
    return { ...first(members), durability: DURABILITIES[best] ?? 'memory' };
  },
};

const DURABILITIES: readonly Durability[] = ['memory', 'os', 'disk', 'quorum'];

function checkMembers({ sync, async = [] }: Options): void {
  const [first] = sync as readonly StandIn[];
  if (first?.capabilities.feed === false)
    throw invalidArgument(
      'replica',
      'the option sync[0]',
      first.type,
      'a store with a feed, which gives the order, such as watchable of it',
    );
  for (const [role, members] of Object.entries({ sync, async }))
    for (const [at, { type, capabilities }] of (members as readonly StandIn[]).entries())
      if (capabilities.evicts || capabilities.bare === true)
        throw invalidArgument(
          'replica',
          `the option ${role}[${at}]`,
          type,
          capabilities.evicts
            ? 'a store that keeps what it is given'
            : 'a store that keeps metadata and origins beside values',
        );
}
