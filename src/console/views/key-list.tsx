import { type Signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useCallback, useEffect, useRef } from 'preact/hooks';
import { bytes } from '../format/figures.ts';
import type { Session } from '../model/session.ts';
import { VirtualList } from '../parts/virtual-list.tsx';

const ROW_PX = 34;
/** How long a row shows that it has just changed. */
const FRESH_MS = 1_600;
/** A flood of changes marks no rows. */
const MAX_FRESH = 100;
/** Facts are kept of so many rows. */
const MAX_FACTS = 5_000;

interface Facts {
  readonly size: number;
}

export interface KeyListProps {
  readonly session: Session;
  readonly prefix: string;
  readonly selected: string | undefined;
  onSelect(key: string): void;
  onOpen(key: string): void;
  onKeyDown(event: KeyboardEvent): void;
}

/** All keys that begin with the prefix. */
export function KeyList(props: KeyListProps): JSX.Element {
  const { session, prefix, selected } = props;
  session.keysTick.value;
  const { keys } = session;
  const { start, end } = keys.span(prefix);
  const { facts, fresh, onRest } = useRowFacts(session, start);
  const keyAt = (row: number): string => keys.at(start + row) ?? '';
  const place = selected === undefined || !keys.has(selected) ? -1 : keys.placeOf(selected);
  const active = place >= start && place < end ? place - start : -1;
  facts.value;
  return (
    <VirtualList
      id="keys"
      label="Keys"
      rows={end - start}
      rowPx={ROW_PX}
      active={active}
      rowKey={keyAt}
      renderRow={(row) => <KeyRow name={keyAt(row)} facts={facts.value} fresh={fresh.value} />}
      onActive={(row) => props.onSelect(keyAt(row))}
      onOpen={(row) => props.onOpen(keyAt(row))}
      onKeyDown={props.onKeyDown}
      onRest={onRest}
    />
  );
}

interface KeyRowProps {
  readonly name: string;
  readonly facts: ReadonlyMap<string, Facts>;
  readonly fresh: ReadonlySet<string>;
}

/** A long key loses the middle: its end is what tells it from its neighbours. */
function KeyRow({ name, facts, fresh }: KeyRowProps): JSX.Element {
  const cut = name.lastIndexOf('/', name.length - 2) + 1;
  const size = facts.get(name)?.size;
  return (
    <span class={fresh.has(name) ? 'key-row fresh' : 'key-row'} title={name}>
      <span class="key-name">
        <span class="key-start">{name.slice(0, cut)}</span>
        <span class="key-end">{name.slice(cut)}</span>
      </span>
      <span class="key-size">{size === undefined ? '' : bytes(size)}</span>
    </span>
  );
}

interface RowFacts {
  readonly facts: Signal<ReadonlyMap<string, Facts>>;
  readonly fresh: Signal<ReadonlySet<string>>;
  readonly onRest: (first: number, end: number) => void;
}

/** Looks up the rows in sight, once scrolling rests, and again when they change. */
function useRowFacts(session: Session, start: number): RowFacts {
  const facts = useSignal<ReadonlyMap<string, Facts>>(new Map());
  const fresh = useSignal<ReadonlySet<string>>(new Set());
  const seen = useRef({ first: 0, end: 0, start });
  seen.current.start = start;
  const look = useCallback(async (): Promise<void> => {
    const { first, end, start: from } = seen.current;
    const wanted: string[] = [];
    for (let row = first; row < end; row++) {
      const key = session.keys.at(from + row);
      if (key !== undefined && !facts.value.has(key)) wanted.push(key);
    }
    if (wanted.length === 0) return;
    const entries = await session.entries(wanted);
    const next = new Map(facts.value.size > MAX_FACTS ? [] : facts.value);
    for (const [key, { value }] of entries) next.set(key, { size: value.length });
    facts.value = next;
  }, [session]);
  const onRest = useCallback(
    (first: number, end: number): void => {
      seen.current = { ...seen.current, first, end };
      void look();
    },
    [look],
  );
  useEffect(() => {
    let fading: ReturnType<typeof setTimeout> | undefined;
    const leave = session.onChanges((changed) => {
      if (changed.size <= MAX_FRESH && session.link.state.value.name === 'live') {
        fresh.value = new Set(changed.keys());
        clearTimeout(fading);
        fading = setTimeout(() => (fresh.value = new Set()), FRESH_MS);
      }
      const known = facts.value;
      const next = new Map(known);
      for (const key of changed.keys()) next.delete(key);
      if (next.size !== known.size) facts.value = next;
      void look();
    });
    return () => {
      clearTimeout(fading);
      leave();
    };
  }, [session, look]);
  return { facts, fresh, onRest };
}
