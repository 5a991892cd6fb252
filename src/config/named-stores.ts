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
  readonly faults: readonly ConfigFault[];
}

/**
 * The stores of a configuration: of `{ stores }`, or of one store alone, which is called `main`.
 * `bare`: stores by name may also stand without `stores` around them.
 */
export function namedStores(config: unknown, bare = false): NamedValues {
  if (!isRecord(config) || isOpenStore(config))
    return wrong('', `is ${show(config)}; expected { "stores": { … } }`);
  if (typeof config.type === 'string')
    return { stores: [{ name: ONLY_NAME, path: '', value: withoutSchema(config) }], faults: [] };
  if (!Object.hasOwn(config, 'stores')) {
    const names = Object.keys(withoutSchema(config));
    if (bare && names.length > 0) return all(withoutSchema(config), '');
    return wrong('stores', 'is missing; expected stores by name, such as { "main": … }');
  }
  const { stores, ...others } = withoutSchema(config);
  const faults = Object.keys(others).map((name) => {
    const near = nearest(name, ['stores']);
    const hint = near === undefined ? 'stores stand in "stores"' : `did you mean ${near}?`;
    return fault(within('', name), `unknown entry; ${hint}`);
  });
  if (!isRecord(stores) || isOpenStore(stores) || Object.keys(stores).length === 0)
    return wrong('stores', `is ${show(stores)}; expected stores by name, at least one`);
  return { ...all(stores, 'stores'), faults };
}

/** Whether it is a store that is open. */
export function isOpenStore(value: unknown): value is Store<unknown> {
  return typeof value === 'object' && value !== null && PRIMITIVES in value;
}

function all(stores: Readonly<Record<string, unknown>>, path: string): NamedValues {
  const named = Object.entries(stores).map(([name, value]) => ({
    name,
    path: within(path, name),
    value,
  }));
  return { stores: named, faults: [] };
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
  return { stores: [], faults: [fault(path, message)] };
}
