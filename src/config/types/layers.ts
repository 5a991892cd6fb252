import { invalidArgument } from '../../store/errors.ts';
import { utf8Length } from '../../store/keys.ts';
import type { Definitions } from '../definitions.ts';
import * as is from '../fields.ts';
import { codecField } from './codecs.ts';
import { first, type Open, ofInner, opened, type StandIn, type TypeSpec } from './type-spec.ts';

const { value } = is;

const store: is.StoreField = is.part('The store inside.');

/** A layer: a store, and options beside it. */
function over(layer: (store: never, options: never) => unknown): Open {
  return ({ store, ...options }) => opened(layer(store as never, options as never) as never);
}

export const readonly: TypeSpec<Definitions['readonly']> = {
  kind: 'layer',
  doc: 'A store that can only be read.',
  fields: { store },
  load: async () => over((await import('../../layers/readonly.ts')).readonly),
  traits: ofInner,
};

export const encoded: TypeSpec<Definitions['encoded']> = {
  kind: 'layer',
  doc: 'A store of bytes as a store of values.',
  fields: {
    store,
    codec: codecField('How values become the bytes of the store inside.', { required: true }),
  },
  load: async () => over((await import('../../layers/encoded/index.ts')).encoded),
  traits: ofInner,
};

export const prefixed: TypeSpec<Definitions['prefixed']> = {
  kind: 'layer',
  doc: 'The keys of a store that begin with a prefix, without it, as a store of its own.',
  fields: {
    store,
    prefix: is.named(
      is.textLike(
        {
          expected:
            'a string of 1 to 64 bytes of well-formed UTF-8 that does not begin with U+0000',
          accepts: (v) =>
            typeof v === 'string' &&
            v !== '' &&
            v.isWellFormed() &&
            v.charCodeAt(0) !== 0 &&
            utf8Length(v) <= 64,
        },
        '^[^\\u0000][^]{0,63}$',
      ),
      'What the keys begin with: 1 to 64 bytes of UTF-8.',
      { required: true },
    ),
  },
  load: async () => {
    const { prefixed } = await import('../../layers/prefixed.ts');
    return ({ store, prefix }) => opened(prefixed(store as never, prefix as string));
  },
  traits: ofInner,
};

export const observed: TypeSpec<Definitions['observed']> = {
  kind: 'layer',
  doc: 'The same store, with its operations counted and told.',
  fields: {
    store,
    name: is.named(is.text, 'Names the store in events and counters; default its type.'),
    diagnostics: value(
      is.boolean,
      'Whether the end of every operation is published on the diagnostics channel `stratakv:operation`. Default true.',
    ),
  },
  load: async () => over((await import('../../layers/observed/index.ts')).observed),
  traits: ofInner,
};

export const bounded: TypeSpec<Definitions['bounded']> = {
  kind: 'layer',
  doc: 'The same store within bounds.',
  fields: {
    store,
    maxConcurrent: value(
      is.positive,
      'Calls of the store inside that are under way at once. Default no bound.',
    ),
    maxWaiting: value(
      is.count,
      'Calls that wait for others to end; one more fails with `overloaded`. Default 10,000.',
    ),
    maxValueBytes: value(
      is.positive,
      'Largest value, in bytes; a larger one is refused. Default the bound of the store inside.',
    ),
  },
  load: async () => over((await import('../../layers/bounded/index.ts')).bounded),
  traits: ofInner,
};

export const watchable: TypeSpec<Definitions['watchable']> = {
  kind: 'layer',
  doc: 'A store that has no feed, with a feed of the writes that go through here.',
  fields: {
    store,
    logBytes: value(is.count, 'Bound of the log of whole commits, in bytes; default 4 MiB.'),
    tombstones: value(
      is.count,
      'Deletes that are remembered for readers that are behind; default 100,000.',
    ),
  },
  load: async () => over((await import('../../layers/watchable/index.ts')).watchable),
  check: ({ store }) => {
    const { capabilities, type } = store as StandIn;
    if (capabilities.feed || capabilities.evicts)
      throw invalidArgument(
        'watchable',
        'the option store',
        type,
        capabilities.feed
          ? 'a store without a feed of its own, such as file'
          : 'a store that does not evict',
      );
  },
  traits: (_, parts) => ({ ...first(parts('store')), feed: true }),
};
