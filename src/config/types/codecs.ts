import { json, messagePack, raw, text } from '../../store/codec.ts';
import { oneOf, type Shape, type ValueField, value } from '../fields.ts';
import { withPackage } from '../with-package.ts';

const CODECS: Readonly<Record<string, () => unknown>> = {
  json,
  text,
  raw,
  messagepack: () =>
    withPackage('the codec messagepack', 'msgpackr', async () =>
      messagePack(await import('msgpackr')),
    ),
};

const shape: Shape = oneOf(...Object.keys(CODECS));

/** A codec by its name. */
export function codecField(doc: string, more: Partial<ValueField> = {}): ValueField {
  return value(shape, doc, { resolve: async (name) => CODECS[name as string]?.(), ...more });
}
