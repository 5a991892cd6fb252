/** As much of JSON Schema as the schema of configurations uses; anything else is an error. */
import type { JsonSchema } from '../../src/config/index.ts';

type Check = (wanted: never, value: unknown, schema: JsonSchema, root: JsonSchema) => boolean;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  number: (value) => typeof value === 'number',
  integer: (value) => Number.isInteger(value),
  object: isObject,
  array: Array.isArray,
};

const ifObject = (value: unknown, test: (given: Readonly<Record<string, unknown>>) => boolean) =>
  !isObject(value) || test(value);

/** Every word of the schema; those that only describe say yes. */
const WORDS: Readonly<Record<string, Check>> = {
  $schema: () => true,
  $defs: () => true,
  title: () => true,
  description: () => true,
  type: (name: string, value) => TYPES[name]?.(value) === true,
  const: (wanted: unknown, value) => wanted === value,
  enum: (words: readonly unknown[], value) => words.includes(value),
  minLength: (least: number, value) => typeof value !== 'string' || value.length >= least,
  pattern: (text: string, value) => typeof value !== 'string' || new RegExp(text, 'u').test(value),
  minimum: (least: number, value) => typeof value !== 'number' || value >= least,
  maximum: (most: number, value) => typeof value !== 'number' || value <= most,
  exclusiveMinimum: (below: number, value) => typeof value !== 'number' || value > below,
  minItems: (least: number, value) => !Array.isArray(value) || value.length >= least,
  minProperties: (least: number, value) =>
    ifObject(value, (given) => Object.keys(given).length >= least),
  required: (names: readonly string[], value) =>
    ifObject(value, (given) => names.every((name) => Object.hasOwn(given, name))),
  items: (schema: JsonSchema, value, _, root) =>
    !Array.isArray(value) || value.every((item) => accepts(schema, item, root)),
  anyOf: (schemas: readonly JsonSchema[], value, _, root) =>
    schemas.some((schema) => accepts(schema, value, root)),
  properties: (properties: Readonly<Record<string, JsonSchema>>, value, _, root) =>
    ifObject(value, (given) =>
      Object.entries(properties).every(
        ([name, schema]) => !Object.hasOwn(given, name) || accepts(schema, given[name], root),
      ),
    ),
  additionalProperties: (others: boolean | JsonSchema, value, { properties = {} }, root) =>
    ifObject(value, (given) =>
      Object.entries(given).every(
        ([name, one]) =>
          Object.hasOwn(properties as object, name) ||
          (typeof others === 'boolean' ? others : accepts(others, one, root)),
      ),
    ),
  $ref: (ref: string, value, _, root) => {
    const name = ref.replace('#/$defs/', '');
    const schema = (root.$defs as Readonly<Record<string, JsonSchema>>)[name];
    if (schema === undefined) throw new Error(`${ref} leads nowhere`);
    return accepts(schema, value, root);
  },
};

/** Whether a JSON Schema accepts a value. */
export function accepts(schema: JsonSchema, value: unknown, root: JsonSchema = schema): boolean {
  return Object.entries(schema).every(([word, wanted]) => {
    const check = WORDS[word];
    if (check === undefined) throw new Error(`no such word: ${word}`);
    return check(wanted as never, value, schema, root);
  });
}
