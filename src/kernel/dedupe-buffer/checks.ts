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
  for (const [i, update] of updates.entries()) checkUpdate(operation, update, i, keys[i]);
}

function checkUpdate(
  operation: string,
  update: Queueable & { readonly value?: unknown },
  at: number,
  knownKey: string | undefined,
): void {
  if (typeof update !== 'object' || update === null)
    throw invalidArgument(operation, `update ${at}`, update, 'an object { key, value }');
  const key: unknown = knownKey || update.key;
  if (typeof key !== 'string' || key === '')
    throw invalidArgument(operation, `the key of update ${at}`, key, 'a non-empty string');
  const { deleted, value } = update;
  const refuse = (what: string, got: unknown, expected: string): StrataError =>
    invalidArgument(operation, `${what} of ${show(key)}`, got, expected, key);
  if (deleted !== undefined && typeof deleted !== 'boolean')
    throw refuse('the field deleted', deleted, 'true or false');
  if (deleted === true && value !== undefined)
    throw refuse('the value', value, 'none: it is deleted');
  if (deleted !== true && value === undefined)
    throw refuse('the value', value, 'a value, or deleted: true');
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
