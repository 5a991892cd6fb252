import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import type { Store } from '../../store/store.ts';
import type { StoreFactory } from './case.ts';

/** What the option `factory` must be. */
export const FACTORY_RULE: is.OptionRule = is.either(is.fn, is.object);

const RULES = {
  create: is.fn,
  reopen: is.fn,
  second: is.fn,
  destroy: is.fn,
  values: is.object,
  env: is.object,
  required: is.object,
  sharesValues: is.boolean,
};

/** A factory in its full form; a misspelt member would leave cases out in silence. */
export function checkFactory<V>(
  operation: string,
  given: StoreFactory<V> | (() => Store<V> | Promise<Store<V>>),
): StoreFactory<unknown> {
  const factory = typeof given === 'function' ? { create: given } : given;
  checkOptions(`${operation}: factory`, factory, RULES, ['create']);
  return factory as StoreFactory<unknown>;
}
