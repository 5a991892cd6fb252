import { show } from '../../store/errors.ts';
import type { IncomingEntry } from './entry-writer.ts';
import type { EntryRecord } from './record.ts';

const encoder = new TextEncoder();

const RULES: Readonly<
  Record<string, readonly [expected: string, accepts: (v: unknown) => boolean]>
> = {
  key: ['a string', (v) => typeof v === 'string'],
  value: ['a value', () => true],
  encoding: ["'text' or 'base64'", (v) => v === 'text' || v === 'base64'],
  expiresAt: ['a time in ms since 1970', isTime],
  meta: ['an object', (v) => typeof v === 'object' && v !== null && !Array.isArray(v)],
  immutable: ['true or false', (v) => typeof v === 'boolean'],
  modifiedAt: ['a time in ms since 1970', isTime],
  // Of the store that was exported; the store that imports gives its own.
  version: ['a string', (v) => typeof v === 'string'],
  rev: ['a number', (v) => typeof v === 'number'],
};

function isTime(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Reads one line. Throws an `Error` that says what is wrong with it. */
export function parseRecord(line: string): IncomingEntry {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    throw new Error(`no JSON: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new Error(`${show(parsed)}; expected an object with key and value`);
  for (const [name, value] of Object.entries(parsed)) {
    const rule = Object.hasOwn(RULES, name) ? RULES[name] : undefined;
    if (rule === undefined)
      throw new Error(`unknown field ${show(name)}; expected ${Object.keys(RULES).join(', ')}`);
    if (!rule[1](value))
      throw new Error(`the field ${name} is ${show(value)}; expected ${rule[0]}`);
  }
  const record = parsed as EntryRecord;
  for (const name of ['key', 'value'] as const)
    if (!Object.hasOwn(record, name)) throw new Error(`the field ${name} is missing`);
  const { key, expiresAt, meta, immutable, modifiedAt } = record;
  return {
    key,
    value: bytesOfValue(record),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(meta !== undefined && { meta }),
    ...(immutable === true && { immutable }),
    ...(modifiedAt !== undefined && { modifiedAt }),
  };
}

function bytesOfValue({ value, encoding }: EntryRecord): Uint8Array {
  if (encoding === undefined) return encoder.encode(JSON.stringify(value));
  if (typeof value !== 'string')
    throw new Error(`the value is ${show(value)}; expected a string, as encoding says ${encoding}`);
  if (encoding === 'text') {
    if (!value.isWellFormed()) throw new Error('the value is no well-formed Unicode');
    return encoder.encode(value);
  }
  const bytes = Buffer.from(value, 'base64');
  // Node skips what is no base64; the way back shows it.
  if (bytes.toString('base64') !== value) throw new Error('the value is no base64');
  return bytes;
}
