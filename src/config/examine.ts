import { nearest } from '../kernel/nearest.ts';
import { StrataError, show } from '../store/errors.ts';
import { PRIMITIVES } from '../store/internals.ts';
import type { Store } from '../store/store.ts';
import { isStoreUrl, parseStoreUrl } from './address.ts';
import { type ConfigFault, within } from './faults.ts';
import type { Field, Fields, StoreField, StoresField, ValueField } from './fields.ts';
import { TYPE_NAMES, typeOf } from './types/index.ts';
import type { TypeSpec } from './types/type-spec.ts';

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A store, or what else is made of stores, that was looked through, and what stands in it. */
export interface StoreNode<Made = Store<unknown>> {
  readonly path: string;
  readonly type: string;
  readonly spec: TypeSpec<never, Made>;
  /** Options as they stand there, with what came from the environment. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly parts: Readonly<Record<string, StoreNode | readonly StoreNode[]>>;
}

export interface ExamineOptions {
  /** Without it, what comes from the environment is taken on trust. */
  readonly environment: Environment | undefined;
  /** Where a path of the configuration is. */
  readonly resolvePath: (path: string) => string;
}

/** Deeper ones hold themselves, or nobody means them. */
const MAX_DEPTH = 32;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Goes through the data of one store and collects what is wrong in it. Opens and imports nothing. */
export class Examination {
  readonly faults: ConfigFault[] = [];
  readonly #options: ExamineOptions;

  constructor(options: ExamineOptions) {
    this.#options = options;
  }

  /** The store that the data describes; `undefined` where a fault keeps it from being one. */
  store(given: unknown, path: string, depth = 0): StoreNode | undefined {
    if (depth > MAX_DEPTH)
      return this.#fault(path, `lies more than ${MAX_DEPTH} stores deep; expected fewer`);
    const data = typeof given === 'string' ? this.#address(given, path) : given;
    if (data === undefined) return undefined;
    if (!isRecord(data)) {
      const expected = '{ "type": … } or an address such as lmdb:./data';
      return this.#fault(path, `is ${show(data)}; expected ${expected}`);
    }
    if (PRIMITIVES in data)
      return this.#fault(path, 'is an open store; expected data, { "type": … }, or an address');
    const spec = this.#type(data, path);
    if (spec === undefined) return undefined;
    const { type, ...options } = data;
    return this.#node(options, spec, { type: type as string, whose: `a ${type}`, path, depth });
  }

  /** What the data describes that is no store but has stores inside. */
  around<Made>(
    given: unknown,
    spec: TypeSpec<never, Made>,
    type: string,
    path: string,
  ): StoreNode<Made> | undefined {
    if (isRecord(given) && !(PRIMITIVES in given))
      return this.#node(given, spec, { type, whose: `an ${type}`, path, depth: 0 });
    const expected = `an object with ${Object.keys(spec.fields).join(', ')}`;
    return this.#fault(path, `is ${show(given)}; expected ${expected}`);
  }

  #node<Made>(
    options: Readonly<Record<string, unknown>>,
    spec: TypeSpec<never, Made>,
    at: { readonly type: string; readonly whose: string; readonly path: string; depth: number },
  ): StoreNode<Made> | undefined {
    const { type, whose, path, depth } = at;
    const before = this.faults.length;
    const parts: Record<string, StoreNode | readonly StoreNode[]> = {};
    const values = this.#fields(options, spec.fields, path, whose, (name, field) => {
      const found = this.#parts(options[name], field, within(path, name), depth);
      if (found !== undefined) parts[name] = found;
    });
    if (this.faults.length > before) return undefined;
    return { path, type, spec, values, parts };
  }

  #fault(path: string, message: string): undefined {
    this.faults.push({ path, message, code: 'invalid-argument' });
    return undefined;
  }

  #address(text: string, path: string): unknown {
    if (!isStoreUrl(text))
      return this.#fault(path, `is ${show(text)}; expected an address such as lmdb:./data`);
    try {
      const { scheme, ...place } = parseStoreUrl(text);
      if (scheme !== 'ws') return { type: scheme, ...place };
      return this.#fault(path, 'is a served store; expected one that is opened here');
    } catch (error) {
      if (!(error instanceof StrataError)) throw error;
      return this.#fault(path, error.message.replace(/^open: the store /, ''));
    }
  }

  #type(data: Readonly<Record<string, unknown>>, path: string): TypeSpec | undefined {
    const { type } = data;
    const at = within(path, 'type');
    const known = TYPE_NAMES.join(', ');
    if (type === undefined) return this.#fault(at, `is missing; expected one of ${known}`);
    if (typeof type !== 'string')
      return this.#fault(at, `is ${show(type)}; expected one of ${known}`);
    const spec = typeOf(type);
    if (spec !== undefined) return spec;
    const near = nearest(type, TYPE_NAMES);
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    return this.#fault(at, `unknown type ${show(type)}; known types are ${known}${hint}`);
  }

  /** Checks options against their fields; gives the values, and hands on what is a store. */
  #fields(
    options: Readonly<Record<string, unknown>>,
    fields: Fields,
    path: string,
    whose: string,
    onStore: (name: string, field: StoreField | StoresField) => void,
  ): Record<string, unknown> {
    const names = Object.keys(fields);
    for (const name of Object.keys(options))
      if (!Object.hasOwn(fields, name)) {
        const near = nearest(name, names);
        const hint =
          near === undefined ? `${whose} takes ${names.join(', ')}` : `did you mean ${near}?`;
        this.#fault(within(path, name), `unknown option; ${hint}`);
      }
    const values: Record<string, unknown> = {};
    for (const [name, field] of Object.entries(fields)) {
      const given = Object.hasOwn(options, name) ? options[name] : undefined;
      const at = within(path, name);
      if (given === undefined) {
        if (field.required) this.#fault(at, `is missing; expected ${expectedOf(field)}`);
      } else if (isStoreField(field) && !isWord(given, field)) onStore(name, field);
      else values[name] = this.#value(given, field, at);
    }
    return values;
  }

  #value(given: unknown, field: Field, path: string): unknown {
    if (field.kind === 'value') return this.#plain(given, field, path);
    if (isStoreField(field) || (field.kind === 'group' && field.or?.rule.accepts(given)))
      return given;
    if (!isRecord(given))
      return this.#fault(path, `is ${show(given)}; expected ${expectedOf(field)}`);
    if (field.kind === 'group')
      return this.#fields(given, field.fields, path, 'it', () => undefined);
    const entries = Object.entries(given).map(([name, one]) => [
      name,
      this.#plain(one, field.each, within(path, name)),
    ]);
    return Object.fromEntries(entries);
  }

  #plain(given: unknown, field: ValueField, path: string): unknown {
    const { rule } = field.shape;
    const isReference = field.fromEnvironment === true && isRecord(given);
    if (field.onlyFromEnvironment === true && !isReference)
      return this.#fault(path, 'stands here itself; expected { "env": "NAME" }');
    const found = isReference ? this.#variable(given, path) : given;
    if (found === undefined) return undefined;
    if (!rule.accepts(found)) {
      const what = isReference
        ? `the variable ${String(given.env)} has another value`
        : `is ${field.secret === true && typeof found === 'string' ? 'another text' : show(found)}`;
      return this.#fault(path, `${what}; expected ${rule.expected}`);
    }
    if (field.isPath !== true || found === ':memory:') return found;
    return this.#options.resolvePath(found as string);
  }

  #variable(given: Readonly<Record<string, unknown>>, path: string): string | undefined {
    const { env, ...others } = given;
    if (typeof env !== 'string' || env === '' || Object.keys(others).length > 0)
      return this.#fault(path, 'is an object; expected a text, or { "env": "NAME" } alone');
    const { environment } = this.#options;
    if (environment === undefined) return undefined;
    const found = Object.hasOwn(environment, env) ? environment[env] : undefined;
    return found ?? this.#fault(path, `the environment variable ${env} is not set`);
  }

  #parts(
    given: unknown,
    field: StoreField | StoresField,
    path: string,
    depth: number,
  ): StoreNode | readonly StoreNode[] | undefined {
    if (field.kind === 'store') return this.store(given, path, depth + 1);
    if (!Array.isArray(given))
      return this.#fault(path, `is ${show(given)}; expected ${expectedOf(field)}`);
    if (given.length < field.least)
      return this.#fault(path, `is empty; expected ${expectedOf(field)}`);
    return given.flatMap((one, at) => this.store(one, within(path, at), depth + 1) ?? []);
  }
}

const isStoreField = (field: Field): field is StoreField | StoresField =>
  field.kind === 'store' || field.kind === 'stores';

/** Whether a word stands in place of a store. */
function isWord(given: unknown, field: StoreField | StoresField): boolean {
  return field.kind === 'store' && field.or?.rule.accepts(given) === true;
}

function expectedOf(field: Field): string {
  switch (field.kind) {
    case 'value':
      return field.shape.rule.expected;
    case 'group': {
      const options = `an object with ${Object.keys(field.fields).join(', ')}`;
      return field.or === undefined ? options : `${field.or.rule.expected} or ${options}`;
    }
    case 'map':
      return 'an object of names and values';
    case 'store':
      return 'a store: { "type": … } or an address such as lmdb:./data';
    case 'stores':
      return field.least > 0 ? `an array of at least ${field.least} store` : 'an array of stores';
  }
}
