import type { BlockingStore } from '../../store/blocking-store.ts';
import type { CallOptions } from '../../store/operations.ts';
import type { Store, StoreWithBlocking } from '../../store/store.ts';
import { collect } from './case.ts';

/** Calls by the name of the method. */
export type Calls = Readonly<Record<string, () => unknown>>;

/** The synchronous view, where there is one. */
export function blockingOf(store: Store<unknown>): BlockingStore<unknown> | undefined {
  return (store as Partial<StoreWithBlocking<unknown>>).blocking;
}

/** Every call that takes a key, made with this one. */
export function keyed(store: Store<unknown>, key: string, value: unknown): Calls {
  const { conditional } = store.capabilities;
  const blocking = blockingOf(store);
  return {
    get: () => store.get(key),
    getEntry: () => store.getEntry(key),
    getMany: () => store.getMany(['good', key]),
    getEntries: () => store.getEntries(['good', key]),
    has: () => store.has(key),
    hasMany: () => store.hasMany(['good', key]),
    getOrSet: () => store.getOrSet(key, () => value),
    set: () => store.set(key, value),
    delete: () => store.delete(key),
    setMany: () =>
      store.setMany([
        ['good', value],
        [key, value],
      ]),
    deleteMany: () => store.deleteMany(['kept', key]),
    ...(conditional === 'all' && { update: () => store.update(key, () => value) }),
    'batch with a set': () =>
      store.batch([
        { type: 'set', key: 'good', value },
        { type: 'set', key, value },
      ]),
    'batch with a delete': () =>
      store.batch([
        { type: 'delete', key: 'kept' },
        { type: 'delete', key },
      ]),
    ...(blocking && keyedBlocking(blocking, key, value)),
  };
}

function keyedBlocking(blocking: BlockingStore<unknown>, key: string, value: unknown): Calls {
  return {
    'blocking.get': () => blocking.get(key),
    'blocking.getEntry': () => blocking.getEntry(key),
    'blocking.getMany': () => blocking.getMany(['good', key]),
    'blocking.getEntries': () => blocking.getEntries(['good', key]),
    'blocking.has': () => blocking.has(key),
    'blocking.hasMany': () => blocking.hasMany(['good', key]),
    'blocking.getOrSet': () => blocking.getOrSet(key, () => value),
    'blocking.set': () => blocking.set(key, value),
    'blocking.delete': () => blocking.delete(key),
    'blocking.setMany': () =>
      blocking.setMany([
        ['good', value],
        [key, value],
      ]),
    'blocking.deleteMany': () => blocking.deleteMany(['kept', key]),
    'blocking.update': () => blocking.update(key, () => value),
    'blocking.batch': () => blocking.batch([{ type: 'set', key, value }]),
  };
}

/** Calls that write. */
export const WRITING: ReadonlySet<string> = new Set([
  'getOrSet',
  'set',
  'delete',
  'setMany',
  'deleteMany',
  'clear',
  'update',
  'batch',
]);

/** Every asynchronous method, called well, with options; iterables are read to their end, a watch for one commit. */
export function bounded(
  store: Store<unknown>,
  key: string,
  value: unknown,
  options: CallOptions,
): Calls {
  const { conditional, feed } = store.capabilities;
  return {
    get: () => store.get(key, options),
    getEntry: () => store.getEntry(key, options),
    getMany: () => store.getMany([key], options),
    getEntries: () => store.getEntries([key], options),
    has: () => store.has(key, options),
    hasMany: () => store.hasMany([key], options),
    getOrSet: () => store.getOrSet(key, () => value, options),
    set: () => store.set(key, value, options),
    delete: () => store.delete(key, options),
    setMany: () => store.setMany([[key, value]], options),
    deleteMany: () => store.deleteMany([key], options),
    clear: () => store.clear(options),
    ...(conditional === 'all' && { update: () => store.update(key, () => value, options) }),
    batch: () => store.batch([{ type: 'set', key, value }], options),
    list: () => collect(store.list(options)),
    keys: () => collect(store.keys(options)),
    ...(feed && {
      watch: () => store.watch(options)[Symbol.asyncIterator]().next(),
      cursor: () => store.cursor(options),
    }),
  };
}

/** Every synchronous method, called well. */
export function blockingCalls(
  blocking: BlockingStore<unknown>,
  key: string,
  value: unknown,
  options?: object,
): Calls {
  return {
    'blocking.get': () => blocking.get(key),
    'blocking.getEntry': () => blocking.getEntry(key),
    'blocking.getMany': () => blocking.getMany([key]),
    'blocking.getEntries': () => blocking.getEntries([key]),
    'blocking.has': () => blocking.has(key),
    'blocking.hasMany': () => blocking.hasMany([key]),
    'blocking.getOrSet': () => blocking.getOrSet(key, () => value, options),
    'blocking.set': () => blocking.set(key, value, options),
    'blocking.delete': () => blocking.delete(key, options),
    'blocking.setMany': () => blocking.setMany([[key, value]], options),
    'blocking.deleteMany': () => blocking.deleteMany([key]),
    'blocking.clear': () => blocking.clear(options),
    'blocking.update': () => blocking.update(key, () => value, options),
    'blocking.batch': () => blocking.batch([{ type: 'set', key, value }]),
    'blocking.list': () => [...blocking.list(options)],
    'blocking.keys': () => [...blocking.keys(options)],
  };
}
