/** The options of every type as pages of Markdown, from the table that checks them. */
import type { Field } from '../../src/config/fields.ts';
import { archive } from '../../src/config/types/archive.ts';
import { TYPES } from '../../src/config/types/index.ts';
import type { TypeSpec } from '../../src/config/types/type-spec.ts';

const KINDS = { driver: 'Drivers', layer: 'Layers', composition: 'Compositions' } as const;

/** `docs/configuration-options.md`. */
export function optionsPage(): string {
  const types = Object.entries<TypeSpec>(TYPES);
  const parts = Object.entries(KINDS).flatMap(([kind, title]) => [
    `## ${title}`,
    ...types
      .filter(([, spec]) => spec.kind === kind)
      .flatMap(([name, { doc, fields }]) => [`### ${name}`, doc, table(fields)]),
  ]);
  return `${[
    '# Options of a configuration',
    'Every type that a [configuration](configuration.md) knows, and every option of it; those in bold must be given. Made from the table that checks them: `npm test -- src/config -u` writes this page anew.',
    ...parts,
    '## Archives',
    archive.doc,
    table(archive.fields),
  ].join('\n\n')}\n`;
}

function table(fields: Readonly<Record<string, Field>>): string {
  const rows = Object.entries(fields).flatMap(([name, field]) => row(name, field));
  return ['| option | value | |', '|---|---|---|', ...rows].join('\n');
}

function row(name: string, field: Field): string[] {
  const shown = field.required === true ? `**\`${name}\`**` : `\`${name}\``;
  const inside = field.kind === 'group' ? Object.entries(field.fields) : [];
  return [
    `| ${shown} | ${valueText(field)} | ${field.doc} |`,
    ...inside.flatMap(([inner, one]) => row(`${name}.${inner}`, one)),
  ];
}

function valueText(field: Field): string {
  switch (field.kind) {
    case 'value': {
      const expected = field.shape.rule.expected.replaceAll("'", '`');
      if (field.onlyFromEnvironment === true) return `{ env } with ${expected}`;
      return field.fromEnvironment === true ? `${expected}, or { env }` : expected;
    }
    case 'group':
      return field.or === undefined
        ? 'an object'
        : `${field.or.rule.expected.replaceAll("'", '`')}, or an object`;
    case 'map':
      return `an object of names and { env } with ${field.each.shape.rule.expected}`;
    case 'store':
      return field.or === undefined
        ? 'a store'
        : `${field.or.rule.expected.replaceAll("'", '`')}, or a store`;
    case 'stores':
      return field.least > 0 ? `an array of at least ${field.least} store` : 'an array of stores';
  }
}
