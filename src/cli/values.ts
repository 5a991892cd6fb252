import { StrataError, show } from '../store/errors.ts';
import { severalLines } from './terminal/printable.ts';

/** How a value is shown and entered. */
export type ValueForm = 'json' | 'text' | 'bytes' | 'hex';
export const VALUE_FORMS: readonly ValueForm[] = ['json', 'text', 'bytes', 'hex'];

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes as text, or `undefined` where they are no UTF-8. */
export function asText(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Whether a text is JSON. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** JSON over several lines; numbers keep all their digits. */
export function prettyJson(text: string): string {
  type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
  const raw = (JSON as unknown as { rawJSON?(source: string): unknown }).rawJSON;
  const keepDigits: Reviver = (_, value, { source }) =>
    typeof value === 'number' && source !== undefined && raw !== undefined ? raw(source) : value;
  return JSON.stringify(
    JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown),
    null,
    2,
  );
}

/** Reads what was given as a value into the bytes to store. Errors: `invalid-argument`. */
export function parseValue(operation: string, given: Uint8Array, form: ValueForm): Uint8Array {
  const refuse = (expected: string, got: unknown): StrataError =>
    new StrataError(
      'invalid-argument',
      `${operation}: the value is ${show(got)}; expected ${expected}`,
      {
        operation,
      },
    );
  if (form === 'bytes') return given;
  const text = asText(given);
  if (text === undefined) throw refuse('UTF-8; give other bytes with --as bytes', given);
  if (form === 'text') return given;
  if (form === 'json') {
    if (!isJson(text)) throw refuse('JSON (with quotes around a string)', text);
    return given;
  }
  const digits = text.replace(/\s+/g, '');
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits))
    throw refuse('hexadecimal digits, two a byte', text);
  return Buffer.from(digits, 'hex');
}

/** What `get` writes for a value. `terminal`: for a person; else exact bytes for a program. */
export function formatValue(
  key: string,
  value: Uint8Array,
  form: ValueForm | undefined,
  terminal: boolean,
): string | Uint8Array {
  const text = form === 'hex' || form === 'bytes' ? undefined : asText(value);
  if (form === 'bytes' || (form === undefined && !terminal)) return value;
  if (form === 'hex') return `${terminal ? hexDump(value) : Buffer.from(value).toString('hex')}\n`;
  const wrongForm = (what: string): StrataError =>
    new StrataError(
      'invalid-argument',
      `get: the value of ${show(key)} is no ${what}; show it with --as ${text === undefined ? 'hex' : 'text'}`,
      { operation: 'get', key },
    );
  if (text === undefined) {
    if (form === undefined) return `${hexDump(value)}\n`;
    throw wrongForm('UTF-8');
  }
  if (form === 'json' && !isJson(text)) throw wrongForm('JSON');
  if (!terminal) return form === 'json' ? `${text}\n` : encoder.encode(text);
  return `${severalLines(form !== 'text' && isJson(text) ? prettyJson(text) : text)}\n`;
}

/** Sixteen bytes a line: place, hexadecimal, and the printable characters. */
export function hexDump(bytes: Uint8Array): string {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const hex = Array.from(row, (byte) => byte.toString(16).padStart(2, '0'));
    const chars = Array.from(row, (byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
    );
    const left = hex.slice(0, 8).join(' ').padEnd(23);
    const right = hex.slice(8).join(' ').padEnd(23);
    rows.push(`${at.toString(16).padStart(8, '0')}  ${left}  ${right}  ${chars.join('')}`);
  }
  return rows.join('\n');
}
