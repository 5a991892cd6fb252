import { failure, invalidArgument, type StrataError, show } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { Queueable } from './segments.ts';
import type { DedupeBufferOptions, DedupeStatus } from './types.ts';

const BUFFER_RULES: OptionRules = {
  cancelUnseen: is.boolean,
  trackSeen: is.boolean,
  deleteOf: is.fn,
};
export const TAKE_RULES: OptionRules = { signal: is.signal };
export const STOP_RULES: OptionRules = { drain: is.boolean, signal: is.signal };

const STATUSES: is.OptionRule = is.oneOf('wait-for-datastore', 'resync', 'in-sync');

export function checkBufferOptions(
  options: Pick<DedupeBufferOptions<unknown>, 'cancelUnseen' | 'trackSeen'>,
): void {
  checkOptions('DedupeBuffer', options, BUFFER_RULES);
  if (options.trackSeen === false && options.cancelUnseen === true)
    throw failure(
      'invalid-argument',
      'DedupeBuffer',
      'the option cancelUnseen is true and trackSeen is false; expected trackSeen with it, which tells what the sink saw',
    );
}

export function checkStatus(operation: string, status: unknown): asserts status is DedupeStatus {
  if (!STATUSES.accepts(status))
    throw invalidArgument(operation, 'the status', status, STATUSES.expected);
}

/** Refuses all updates if one of them is none. A key from elsewhere counts instead of an update's own. */
export function checkUpdates(
  operation: string,
  updates: readonly Queueable[],
  keys: readonly (string | undefined)[],
): void {
  if (!Array.isArray(updates))
    throw invalidArgument(operation, 'the updates argument', updates, 'an array');
  if (!Array.isArray(keys)) throw invalidArgument(operation, 'the keys argument', keys, 'an array');
  if (keys.length > updates.length)
    throw invalidArgument(operation, 'the keys argument', keys, `at most ${updates.length} keys`);
  for (let i = 0; i < updates.length; i++) {
    const update = updates[i];
    if (!isUpdate(update, keys[i])) throw wrongUpdate(operation, update, i, keys[i]);
  }
}

/** Refuses what `deleteOf` made if it is no delete. */
export function checkDeletes(
  operation: string,
  deletes: readonly Queueable[],
  keys: readonly string[],
): void {
  checkUpdates(operation, deletes, keys);
  const wrong = deletes.find(({ deleted }) => deleted !== true);
  if (wrong !== undefined)
    throw invalidArgument(
      operation,
      'what deleteOf gave',
      wrong,
      'an object { key, deleted: true }',
    );
}

function isUpdate(
  update: (Queueable & { readonly value?: unknown }) | null | undefined,
  knownKey: string | undefined,
): boolean {
  if (typeof update !== 'object' || update === null) return false;
  const key: unknown = knownKey || update.key;
  if (typeof key !== 'string' || key === '') return false;
  const { deleted, value } = update;
  if (deleted === true) return value === undefined;
  return value !== undefined && (deleted === undefined || deleted === false);
}

/** Tells what is wrong with an update that is none. */
function wrongUpdate(
  operation: string,
  update: (Queueable & { readonly value?: unknown }) | null | undefined,
  at: number,
  knownKey: string | undefined,
): StrataError {
  if (typeof update !== 'object' || update === null)
    return invalidArgument(operation, `update ${at}`, update, 'an object { key, value }');
  const key: unknown = knownKey || update.key;
  if (typeof key !== 'string' || key === '')
    return invalidArgument(operation, `the key of update ${at}`, key, 'a non-empty string');
  const { deleted, value } = update;
  if (deleted !== undefined && typeof deleted !== 'boolean')
    return invalidArgument(
      operation,
      `the field deleted of ${show(key)}`,
      deleted,
      'true or false',
      key,
    );
  const expected = deleted === true ? 'none, since it is deleted' : 'a value, or deleted: true';
  return invalidArgument(operation, `the value of ${show(key)}`, value, expected, key);
}

/** Refuses what is no sink. */
export function checkSink(sink: unknown): void {
  const { onUpdates, onStatusUpdated } = (sink ?? {}) as Record<string, unknown>;
  if (typeof onUpdates !== 'function' || typeof onStatusUpdated !== 'function')
    throw invalidArgument(
      'sendToSink',
      'the sink',
      sink,
      'an object with onUpdates and onStatusUpdated',
    );
}
