import { nearest } from '../kernel/nearest.ts';
import { show } from '../store/errors.ts';
import { PRIMITIVES } from '../store/internals.ts';
import type { Store } from '../store/store.ts';
import { type ConfigFault, within } from './faults.ts';

/** A store's name, what stands for it, and where. */
export interface NamedValue {
  readonly name: string;
  readonly path: string;
  readonly value: unknown;
}

/** The name of the store of a configuration that is one store. */
export const ONLY_NAME = 'main';

export interface NamedValues {
  readonly stores: readonly NamedValue[];
  readonly archives: readonly NamedValue[];
  readonly faults: readonly ConfigFault[];
}

/**
 * The stores and archives of a configuration: of `{ stores, archives }`, or of one store alone, which
 * is called `main`. `bare`: stores by name may also stand without `stores` around them.
 */
export function namedStores(config: unknown, bare = false): NamedValues {
  if (!isRecord(config) || isOpenStore(config))
    return wrong('', `is ${show(config)}; expected { "stores": { … } }`);
  if (typeof config.type === 'string')
    return {
      stores: [{ name: ONLY_NAME, path: '', value: withoutSchema(config) }],
      archives: [],
      faults: [],
    };
  const { stores, archives, ...others } = withoutSchema(config);
  if (stores === undefined && archives === undefined) {
    if (bare && Object.keys(others).length > 0)
      return { stores: all(others, ''), archives: [], faults: [] };
    return wrong('stores', 'is missing; expected stores by name, such as { "main": … }');
  }
  const faults = Object.keys(others).map((name) => {
    const near = nearest(name, KINDS);
    const hint = near === undefined ? 'stores stand in "stores"' : `did you mean ${near}?`;
    return fault(within('', name), `unknown entry; ${hint}`);
  });
  for (const [kind, given] of Object.entries({ stores, archives }))
    if (given !== undefined && !isNamed(given))
      return wrong(kind, `is ${show(given)}; expected ${kind} by name, at least one`);
  return {
    stores: isNamed(stores) ? all(stores, 'stores') : [],
    archives: isNamed(archives) ? all(archives, 'archives') : [],
    faults,
  };
}

const KINDS = ['stores', 'archives'] as const;

function isNamed(given: unknown): given is Readonly<Record<string, unknown>> {
  return isRecord(given) && !isOpenStore(given) && Object.keys(given).length > 0;
}

/** Whether it is a store that is open. */
export function isOpenStore(value: unknown): value is Store<unknown> {
  return typeof value === 'object' && value !== null && PRIMITIVES in value;
}

function all(values: Readonly<Record<string, unknown>>, path: string): NamedValue[] {
  return Object.entries(values).map(([name, value]) => ({
    name,
    path: within(path, name),
    value,
  }));
}

function withoutSchema({
  $schema: _,
  ...rest
}: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return rest;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fault(path: string, message: string): ConfigFault {
  return { path, message, code: 'invalid-argument' };
}

function wrong(path: string, message: string): NamedValues {
  return { stores: [], archives: [], faults: [fault(path, message)] };
}
