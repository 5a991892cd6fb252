import { STORE_FORMS } from './address.ts';
import type { Field, Fields, JsonSchema } from './fields.ts';
import { archive } from './types/archive.ts';
import { TYPES } from './types/index.ts';
import type { TypeSpec } from './types/type-spec.ts';

const FROM_ENVIRONMENT: JsonSchema = {
  type: 'object',
  description: 'The value of an environment variable.',
  properties: { env: { type: 'string', minLength: 1, description: 'The name of the variable.' } },
  required: ['env'],
  additionalProperties: false,
};

const STORE: JsonSchema = { $ref: '#/$defs/store' };

/** The JSON Schema of a configuration: of `{ "stores": … }`, and of one store alone. */
export function configSchema(): JsonSchema {
  const types = Object.entries<TypeSpec>(TYPES);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Stores of StrataKV',
    anyOf: [{ $ref: '#/$defs/named' }, { $ref: '#/$defs/typed' }],
    $defs: {
      named: {
        type: 'object',
        properties: {
          $schema: { type: 'string' },
          stores: byName('Stores by name.', STORE),
          archives: byName('Archives by name.', { $ref: '#/$defs/archive' }),
        },
        anyOf: [{ required: ['stores'] }, { required: ['archives'] }],
        additionalProperties: false,
      },
      archive: {
        type: 'object',
        description: archive.doc,
        ...optionsSchema(archive.fields),
        additionalProperties: false,
      },
      store: { anyOf: [{ $ref: '#/$defs/address' }, { $ref: '#/$defs/typed' }] },
      address: {
        type: 'string',
        description: `An address: ${STORE_FORMS.filter((form) => !form.startsWith('ws')).join(', ')}.`,
        pattern: '^[A-Za-z][A-Za-z0-9+.-]*:',
      },
      typed: { anyOf: types.map(([name]) => ({ $ref: `#/$defs/${name}` })) },
      fromEnvironment: FROM_ENVIRONMENT,
      ...Object.fromEntries(types.map(([name, spec]) => [name, typeSchema(name, spec)])),
    },
  };
}

function byName(description: string, each: JsonSchema): JsonSchema {
  return { type: 'object', description, additionalProperties: each, minProperties: 1 };
}

function typeSchema(name: string, { doc, fields }: TypeSpec): JsonSchema {
  const { properties, required = [] } = optionsSchema(fields);
  return {
    type: 'object',
    description: doc,
    properties: { type: { const: name }, ...properties },
    required: ['type', ...required],
    additionalProperties: false,
  };
}

function optionsSchema(fields: Fields): {
  readonly properties: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
} {
  const entries = Object.entries(fields);
  const required = entries.filter(([, field]) => field.required === true).map(([name]) => name);
  return {
    properties: Object.fromEntries(
      entries.map(([name, field]) => [name, { description: field.doc, ...fieldSchema(field) }]),
    ),
    ...(required.length > 0 && { required }),
  };
}

function fieldSchema(field: Field): JsonSchema {
  switch (field.kind) {
    case 'value': {
      const { schema } = field.shape;
      if (field.onlyFromEnvironment === true) return { $ref: '#/$defs/fromEnvironment' };
      if (field.fromEnvironment !== true) return schema;
      return { anyOf: [schema, { $ref: '#/$defs/fromEnvironment' }] };
    }
    case 'group': {
      const options = {
        type: 'object',
        ...optionsSchema(field.fields),
        additionalProperties: false,
      };
      return field.or === undefined ? options : { anyOf: [field.or.schema, options] };
    }
    case 'map':
      return { type: 'object', additionalProperties: fieldSchema(field.each) };
    case 'store':
      return field.or === undefined ? STORE : { anyOf: [field.or.schema, STORE] };
    case 'stores':
      return { type: 'array', items: STORE, ...(field.least > 0 && { minItems: field.least }) };
  }
}
