import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { count, bytes as inBytes } from '../format/figures.ts';
import { hexRows } from '../format/hex.ts';
import type { ReadValue, ValueForm } from '../format/value.ts';
import { JsonTree } from './json-tree.tsx';

const FORMS: readonly { readonly form: ValueForm; readonly label: string }[] = [
  { form: 'json', label: 'JSON' },
  { form: 'text', label: 'Text' },
  { form: 'hex', label: 'Hex' },
];

/** Whether a value can be shown so. */
export function canShow(value: ReadValue, form: ValueForm): boolean {
  if (form === 'hex') return true;
  return form === 'json' ? value.json !== undefined : value.text !== undefined;
}

export interface FormChoiceProps {
  readonly chosen: ValueForm;
  can(form: ValueForm): boolean;
  onChoose(form: ValueForm): void;
}

/** JSON, text or hex. */
export function FormChoice({ chosen, can, onChoose }: FormChoiceProps): JSX.Element {
  return (
    <fieldset class="segments">
      <legend class="unseen">Show the value as</legend>
      {FORMS.map(({ form, label }) => (
        <label key={form}>
          <input
            type="radio"
            name="form"
            checked={form === chosen}
            disabled={!can(form)}
            onChange={() => onChoose(form)}
          />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function ValueView({
  value,
  form,
}: {
  readonly value: ReadValue;
  readonly form: ValueForm;
}): JSX.Element {
  if (value.bytes.length === 0) return <p class="nothing">The value is empty: no bytes.</p>;
  if (form === 'json' && value.json !== undefined) return <JsonTree value={value.json.value} />;
  if (form === 'text' && value.text !== undefined) return <TextView text={value.text} />;
  return <HexView bytes={value.bytes} />;
}

const TEXT_CHARACTERS = 50_000;
const HEX_BYTES = 4_096;

function TextView({ text }: { readonly text: string }): JSX.Element {
  const shown = useSignal(TEXT_CHARACTERS);
  return (
    <>
      <pre class="text">{text.slice(0, shown.value)}</pre>
      {text.length > shown.value ? (
        <button type="button" class="more" onClick={() => (shown.value *= 10)}>
          {count(text.length - shown.value)} more characters
        </button>
      ) : null}
    </>
  );
}

function HexView({ bytes }: { readonly bytes: Uint8Array }): JSX.Element {
  const shown = useSignal(HEX_BYTES);
  return (
    <>
      <pre class="hex">
        {hexRows(bytes, shown.value).map(({ offset, hex, text }) => (
          <div key={offset}>
            <span class="offset">{offset}</span>
            <span class="pairs">{hex}</span>
            <span class="ascii">{text}</span>
          </div>
        ))}
      </pre>
      {bytes.length > shown.value ? (
        <button type="button" class="more" onClick={() => (shown.value += 8 * HEX_BYTES)}>
          {inBytes(bytes.length - shown.value)} more
        </button>
      ) : null}
    </>
  );
}
