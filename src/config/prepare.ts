import { StrataError } from '../store/errors.ts';
import { PRIMITIVES } from '../store/internals.ts';
import type { Store } from '../store/store.ts';
import type { StoreNode } from './examine.ts';
import { type ConfigFault, faultOf, within } from './faults.ts';
import type { Field } from './fields.ts';
import type { Open, Options, StandIn, Traits } from './types/type-spec.ts';
import { withPackage } from './with-package.ts';

/** A store that is ready to be opened: what opens it is imported, and its options make sense. */
export interface PreparedStore<Made = Store<unknown>> {
  readonly path: string;
  readonly open: Open<Made>;
  readonly values: Options;
  readonly parts: Readonly<Record<string, PreparedStore | readonly PreparedStore[]>>;
}

/** Imports what the configuration names and checks what a single option does not tell. Opens nothing. */
export class Preparation {
  readonly faults: ConfigFault[] = [];
  /** Which stores are at each place, and what their keys begin with. */
  readonly #places = new Map<string, { readonly keys: string; readonly path: string }[]>();

  /** `keys`: what the keys of the store inside begin with, as far as it is known. */
  async store<Made>(
    node: StoreNode<Made>,
    keys: string | undefined = '',
  ): Promise<PreparedStore<Made> | undefined> {
    const before = this.faults.length;
    this.#claim(node, keys);
    const inner = node.type === 'prefixed' ? joined(node.values.prefix, keys) : keys;
    const parts: Record<string, PreparedStore | readonly PreparedStore[]> = {};
    for (const [name, part] of Object.entries(node.parts)) {
      const done = isList(part) ? await this.#all(part, inner) : await this.store(part, inner);
      if (done !== undefined) parts[name] = done;
    }
    const values = await this.#resolved(node.values, node.spec.fields, node.path);
    const open = await this.#try(node.path, () => loaded(node));
    if (this.faults.length === before)
      await this.#try(node.path, async () => node.spec.check?.(withStandIns(node, values)));
    if (open === undefined || this.faults.length > before) return undefined;
    return { path: node.path, open, values, parts };
  }

  async #all(nodes: readonly StoreNode[], keys: string | undefined): Promise<PreparedStore[]> {
    const done: PreparedStore[] = [];
    for (const node of nodes) {
      const one = await this.store(node, keys);
      if (one !== undefined) done.push(one);
    }
    return done;
  }

  /** Two stores of one composition with the same keys would take each other's writes for their own. */
  #claim<Made>({ type, spec, values, path }: StoreNode<Made>, keys: string | undefined): void {
    const found = Object.values(values).includes(undefined) ? undefined : spec.place?.(values);
    if (found === undefined || keys === undefined) return;
    const place = `${type} ${found}`;
    const others = this.#places.get(place) ?? [];
    const other = others.find((one) => one.keys.startsWith(keys) || keys.startsWith(one.keys));
    this.#places.set(place, [...others, { keys, path }]);
    if (other === undefined) return;
    const message = `is the same store as ${other.path}; expected a store of its own`;
    this.faults.push({ path, message, code: 'invalid-argument' });
  }

  async #resolved(
    values: Options,
    fields: Readonly<Record<string, Field>>,
    path: string,
  ): Promise<Options> {
    const resolved: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(values)) {
      resolved[name] = await this.#resolvedValue(value, fields[name], within(path, name));
    }
    return resolved;
  }

  async #resolvedValue(value: unknown, field: Field | undefined, path: string): Promise<unknown> {
    if (field?.kind === 'map') {
      const entries = Object.keys(value as object).map((name) => [name, field.each]);
      return this.#resolved(value as Options, Object.fromEntries(entries), path);
    }
    const resolve = field?.kind === 'value' || field?.kind === 'group' ? field.resolve : undefined;
    if (value === undefined) return value;
    const given =
      field?.kind === 'group' && typeof value === 'object'
        ? await this.#resolved(value as Options, field.fields, path)
        : value;
    return resolve === undefined ? given : this.#try(path, () => resolve(given));
  }

  async #try<T>(path: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.faults.push(faultOf(error, path));
      return undefined;
    }
  }
}

const isList = <T>(part: T | readonly T[]): part is readonly T[] => Array.isArray(part);

function joined(prefix: unknown, keys: string | undefined): string | undefined {
  return keys === undefined || typeof prefix !== 'string' ? undefined : prefix + keys;
}

function loaded<Made>({ type, spec }: StoreNode<Made>): Promise<Open<Made>> {
  return spec.npmName === undefined ? spec.load() : withPackage(type, spec.npmName, spec.load);
}

function traitsOf({ spec, values, parts }: StoreNode): Traits {
  return spec.traits(values, (name) => [parts[name] ?? []].flat().map(traitsOf));
}

/** The options with a description of each part in its place, for the checks of the stores themselves. */
function withStandIns({ parts }: Pick<StoreNode, 'parts'>, values: Options): Options {
  const standIn = (node: StoreNode): StandIn => {
    const capabilities = { ...traitsOf(node), ttl: true, conditional: 'all' };
    const { type } = node;
    return { type, capabilities, [PRIMITIVES]: { capabilities, shape: { type } } } as StandIn;
  };
  const inside = Object.entries(parts).map(([name, part]) => [
    name,
    isList(part) ? part.map(standIn) : standIn(part),
  ]);
  return { ...values, ...Object.fromEntries(inside) };
}

/** Opens the parts, then the store of them; one that fails closes those that are open. */
export async function openPrepared<Made>(prepared: PreparedStore<Made>): Promise<Made> {
  const opened: Store<unknown>[] = [];
  const open = async (one: PreparedStore): Promise<Store<unknown>> => {
    const store = await openPrepared(one);
    opened.push(store);
    return store;
  };
  try {
    const options: Record<string, unknown> = definedOnly(prepared.values);
    for (const [name, part] of Object.entries(prepared.parts)) {
      if (!isList(part)) options[name] = await open(part);
      else {
        const stores: Store<unknown>[] = [];
        for (const one of part) stores.push(await open(one));
        options[name] = stores;
      }
    }
    return prepared.open(options);
  } catch (error) {
    await Promise.allSettled(opened.map((store) => store.close()));
    throw located(error, prepared.path);
  }
}

function definedOnly(values: Options): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** The error of a store with the place in the configuration, told once. */
function located(error: unknown, path: string): unknown {
  if (!(error instanceof StrataError) || path === '' || error.details?.path !== undefined)
    return error;
  const { code, operation, key, retryable, details } = error;
  return new StrataError(code, `open: ${path}: ${error.message}`, {
    operation,
    key,
    retryable,
    cause: error,
    details: { ...details, path },
  });
}
