import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { count } from '../format/figures.ts';
import { type JsonValue, NumberLiteral } from '../format/value.ts';

/** Members drawn at once; more on request. */
const PART = 100;
/** Characters of a string drawn at once. */
const STRING_CHARACTERS = 2_000;
/** How deep, and how large, what is open at first may be. */
const OPEN_DEPTH = 2;
const OPEN_MEMBERS = 40;

/** JSON as a tree that opens and closes; what is closed is not drawn. */
export function JsonTree({ value }: { readonly value: JsonValue }): JSX.Element {
  return (
    <div class="tree">
      <JsonNode value={value} depth={0} last={true} />
    </div>
  );
}

interface NodeProps {
  readonly name?: string;
  readonly value: JsonValue;
  readonly depth: number;
  readonly last: boolean;
}

function JsonNode(props: NodeProps): JSX.Element {
  const { value } = props;
  if (typeof value === 'object' && value !== null && !(value instanceof NumberLiteral)) {
    const isList = Array.isArray(value);
    const names = Object.keys(value);
    if (names.length > 0) return <Branch {...props} names={names} isList={isList} />;
  }
  return (
    <div class="leaf">
      <Name name={props.name} />
      <Scalar value={value} />
      {props.last ? null : <span class="punct">,</span>}
    </div>
  );
}

function Branch({
  name,
  value,
  depth,
  last,
  names,
  isList,
}: NodeProps & { readonly names: readonly string[]; readonly isList: boolean }): JSX.Element {
  const open = useSignal(depth < OPEN_DEPTH && (depth === 0 || names.length <= OPEN_MEMBERS));
  const shown = useSignal(PART);
  const members = value as Readonly<Record<string, JsonValue>>;
  const [left, right] = isList ? ['[', ']'] : ['{', '}'];
  const end = last ? right : `${right},`;
  const drawn = open.value ? names.slice(0, shown.value) : [];
  return (
    <details open={open.value} onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>
        <Name name={name} />
        <span class="punct">{open.value ? left : `${left} … ${end}`}</span>
        <span class="members">
          {count(names.length)} {isList ? 'items' : names.length === 1 ? 'member' : 'members'}
        </span>
      </summary>
      <div class="branch">
        {drawn.map((member, place) => (
          <JsonNode
            key={member}
            {...(isList ? {} : { name: member })}
            value={members[member] as JsonValue}
            depth={depth + 1}
            last={place === names.length - 1}
          />
        ))}
        {open.value && names.length > shown.value ? (
          <button type="button" class="more" onClick={() => (shown.value += 10 * PART)}>
            {count(names.length - shown.value)} more
          </button>
        ) : null}
      </div>
      {open.value ? <div class="punct">{end}</div> : null}
    </details>
  );
}

function Name({ name }: { readonly name: string | undefined }): JSX.Element | null {
  if (name === undefined) return null;
  return (
    <>
      <span class="name">{JSON.stringify(name)}</span>
      <span class="punct">: </span>
    </>
  );
}

function Scalar({ value }: { readonly value: JsonValue }): JSX.Element {
  const whole = useSignal(false);
  if (value instanceof NumberLiteral) return <span class="number">{value.source}</span>;
  if (typeof value !== 'string') {
    const kind = typeof value === 'object' ? 'null' : typeof value;
    return <span class={kind}>{JSON.stringify(value)}</span>;
  }
  const cut = !whole.value && value.length > STRING_CHARACTERS;
  const text = JSON.stringify(cut ? `${value.slice(0, STRING_CHARACTERS)}…` : value);
  return (
    <>
      <span class="string">{text}</span>
      {cut ? (
        <button type="button" class="more" onClick={() => (whole.value = true)}>
          all {count(value.length)} characters
        </button>
      ) : null}
    </>
  );
}
