import * as is from '../store/option-rules.ts';

/** A JSON Schema, or a part of one. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What a value must be: as the stores check it, and as a JSON Schema says it. */
export interface Shape {
  readonly rule: is.OptionRule;
  readonly schema: JsonSchema;
}

interface Described {
  readonly doc: string;
  readonly required?: true;
}

/** Makes of what stands in the configuration what the store takes; fails before anything is opened. */
export type Resolve = (value: unknown) => Promise<unknown>;

/** A value. */
export interface ValueField extends Described {
  readonly kind: 'value';
  readonly shape: Shape;
  /** Whether `{ "env": "NAME" }` may stand in its place. */
  readonly fromEnvironment?: true;
  /** Whether nothing else may: it does not belong into a file. */
  readonly onlyFromEnvironment?: true;
  /** Whether it is a path, which is meant from where the configuration lies. */
  readonly isPath?: true;
  /** Whether it may hold a password, and is shown to nobody. */
  readonly secret?: true;
  readonly resolve?: Resolve;
}

/** Options within an option. */
export interface GroupField extends Described {
  readonly kind: 'group';
  readonly fields: Fields;
  /** What may stand in place of the options. */
  readonly or?: Shape;
  readonly resolve?: Resolve;
}

/** Values by names of the user's own. */
export interface MapField extends Described {
  readonly kind: 'map';
  readonly each: ValueField;
}

/** A store inside. */
export interface StoreField extends Described {
  readonly kind: 'store';
  /** What may stand in place of the store. */
  readonly or?: Shape;
}

/** Several stores inside. */
export interface StoresField extends Described {
  readonly kind: 'stores';
  readonly least: number;
}

export type Field = ValueField | GroupField | MapField | StoreField | StoresField;
export type Fields = Readonly<Record<string, Field>>;

const MAX = Number.MAX_SAFE_INTEGER;

export const boolean: Shape = { rule: is.boolean, schema: { type: 'boolean' } };
export const text: Shape = { rule: is.text, schema: { type: 'string', minLength: 1 } };
export const durationMs: Shape = {
  rule: is.durationMs,
  schema: { type: 'number', exclusiveMinimum: 0 },
};
export const count: Shape = {
  rule: is.count,
  schema: { type: 'integer', minimum: 0, maximum: MAX },
};
export const positive: Shape = atLeast(1);

export function atLeast(least: number): Shape {
  return {
    rule: {
      expected: `a whole number of at least ${least}`,
      accepts: (v) => Number.isSafeInteger(v) && (v as number) >= least,
    },
    schema: { type: 'integer', minimum: least, maximum: MAX },
  };
}

/** A whole number from 1. */
export function wholeUpTo(most: number): Shape {
  return {
    rule: {
      expected: `a whole number of 1 to ${most}`,
      accepts: (v) => is.positive.accepts(v) && (v as number) <= most,
    },
    schema: { type: 'integer', minimum: 1, maximum: most },
  };
}

export function oneOf(...words: readonly string[]): Shape {
  return { rule: is.oneOf(...words), schema: { enum: words } };
}

export function either(...shapes: readonly Shape[]): Shape {
  return {
    rule: is.either(...shapes.map(({ rule }) => rule)),
    schema: { anyOf: shapes.map(({ schema }) => schema) },
  };
}

/** A string of a form of its own; the pattern is for the schema and may let more pass. */
export function textLike(rule: is.OptionRule, pattern: string): Shape {
  return { rule, schema: { type: 'string', pattern } };
}

export function value(shape: Shape, doc: string, more: Partial<ValueField> = {}): ValueField {
  return { kind: 'value', shape, doc, ...more };
}

/** A text that may come from the environment. */
export function named(shape: Shape, doc: string, more: Partial<ValueField> = {}): ValueField {
  return value(shape, doc, { fromEnvironment: true, ...more });
}

export function group(fields: Fields, doc: string, more: Partial<GroupField> = {}): GroupField {
  return { kind: 'group', fields, doc, ...more };
}

/** A store inside that must be given. */
export function part(doc: string): StoreField {
  return { kind: 'store', doc, required: true };
}
