import { invalidArgument, show } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import type { Walker } from '../walker.ts';

/** Options of `jsonWalker`. */
export interface JsonWalkerOptions {
  /** The key that a link stands for; default the link itself. */
  readonly keyOf?: (link: string) => string;
}

/**
 * A walker over JSON-like values: links are the strings under a property of that name, at any
 * depth, alone or in arrays. `null` stands for no link; objects under the property are searched as
 * all others are; a number or a boolean there is an error, since it would be a link overlooked.
 *
 * ```ts
 * walk(store, ['home'], jsonWalker('links')); // { title: 'Home', links: ['about', 'contact'] }
 * ```
 */
export function jsonWalker(property: string, options: JsonWalkerOptions = {}): Walker<unknown> {
  if (typeof property !== 'string')
    throw invalidArgument('jsonWalker', 'the property', property, 'the name of a property');
  checkOptions('jsonWalker', options, { keyOf: is.fn });
  const { keyOf = (link: string) => link } = options;
  return function* (_key, value) {
    if (value instanceof Uint8Array)
      throw new TypeError('the value is bytes; expected data, as a store with a codec gives it');
    for (const link of linksUnder(property, value)) yield keyOf(link);
  };
}

/** What is still to be searched; `linking` where a string is a link. */
interface Part {
  readonly value: unknown;
  readonly linking: boolean;
}

/** In the order of the text; with a stack of its own, so that depth is no limit. */
function* linksUnder(property: string, root: unknown): Generator<string> {
  const parts: Part[] = [{ value: root, linking: false }];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const { value, linking } = part;
    if (typeof value === 'string') {
      if (linking) yield value;
    } else if (Array.isArray(value) || value instanceof Set) {
      for (const item of [...value].reverse()) parts.push({ value: item, linking });
    } else if (typeof value === 'object') {
      for (const [name, inner] of propertiesOf(value).reverse())
        parts.push({ value: inner, linking: name === property });
    } else if (linking && value !== undefined) {
      throw new TypeError(`the property ${property} holds ${show(value)}; expected a key`);
    }
  }
}

function propertiesOf(value: object | null): [unknown, unknown][] {
  if (value === null || ArrayBuffer.isView(value)) return [];
  return value instanceof Map ? [...value] : Object.entries(value);
}
