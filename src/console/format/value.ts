import { fromHex, toHex } from './hex.ts';

/** How a value is shown and edited. */
export type ValueForm = 'json' | 'text' | 'hex';

/** A number that JavaScript would change, as it stands in the text. */
export class NumberLiteral {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

/** Parsed JSON, numbers that do not survive parsing kept as they are written. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | NumberLiteral
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** A value with what it can be read as. */
export interface ReadValue {
  readonly bytes: Uint8Array;
  /** What suits it best. */
  readonly form: ValueForm;
  /** Absent where the bytes are no UTF-8. */
  readonly text?: string;
  /** Absent where the text is no JSON, or too long to be parsed for a picture. */
  readonly json?: { readonly value: JsonValue };
}

/** Larger ones are shown as text. */
const MAX_JSON_BYTES = 4_000_000;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Finds out what a value is: JSON, else text, else bytes. */
export function readValue(bytes: Uint8Array): ReadValue {
  const text = decode(bytes);
  if (text === undefined) return { bytes, form: 'hex' };
  const value = bytes.length <= MAX_JSON_BYTES ? parseJson(text) : undefined;
  if (value !== undefined) return { bytes, form: 'json', text, json: { value } };
  return { bytes, form: isBinary(text) ? 'hex' : 'text', text };
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Control characters that no text has. */
function isBinary(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 && unit !== 0x09 && unit !== 0x0a && unit !== 0x0d && unit !== 0x1b)
      return true;
  }
  return false;
}

type Reviver = (name: string, value: unknown, context?: { readonly source?: string }) => unknown;

const keepNumbers: Reviver = (_, value, context) => {
  if (typeof value !== 'number' || context?.source === undefined) return value;
  return isExact(context.source, value) ? value : new NumberLiteral(context.source);
};

/** Whether a number's shortest text says the same as the text it was read from. */
function isExact(source: string, value: number): boolean {
  if (String(value) === source) return true;
  const digits = source.replace(/[eE].*$/, '').replace(/^-?0*\.?0*|\./g, '');
  return Number.isFinite(value) && digits.length <= 15;
}

function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text, keepNumbers as (name: string, value: unknown) => unknown) as JsonValue;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The text to edit a value in. */
export function editableText({ bytes, text = '' }: ReadValue, form: ValueForm): string {
  return form === 'hex' ? toHex(bytes) : text;
}

/** The bytes that an edited text stands for, or why there are none. */
export function parseEdited(text: string, form: ValueForm): Uint8Array | { reason: string } {
  if (form === 'hex') {
    const bytes = fromHex(text);
    return typeof bytes === 'string' ? { reason: bytes } : bytes;
  }
  if (form === 'json') {
    try {
      JSON.parse(text);
    } catch (error) {
      return { reason: error instanceof Error ? error.message : String(error) };
    }
  }
  if (!text.isWellFormed()) return { reason: 'The text has a lone surrogate' };
  return new TextEncoder().encode(text);
}

/** JSON laid out over lines; every literal stays as it is written. The text must be JSON. */
export function layOut(text: string): string {
  let depth = 0;
  const line = (): string => `\n${'  '.repeat(depth)}`;
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let out = '';
  tokens.forEach((token, i) => {
    const closes = tokens[i + 1] === '}' || tokens[i + 1] === ']';
    if (token === '{' || token === '[') {
      depth++;
      out += token + (closes ? '' : line());
    } else if (token === '}' || token === ']') {
      depth--;
      const empty = tokens[i - 1] === '{' || tokens[i - 1] === '[';
      out += (empty ? '' : line()) + token;
    } else if (token === ',') out += token + line();
    else if (token === ':') out += ': ';
    else out += token;
  });
  return out;
}

/** The beginning of a value on one line. */
export function preview(bytes: Uint8Array, length: number = 120): string {
  const start = bytes.subarray(0, length);
  const text = new TextDecoder().decode(start).replace(/\s+/g, ' ').trim();
  if (text.includes('\ufffd') && decode(start.subarray(0, -3)) === undefined)
    return toHex(start.subarray(0, 40)).replace(/\s+/g, ' ');
  return text.replace(/\p{Cc}/gu, '·');
}
