import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { contentPx, type ListWindow, scrollTo, windowAt } from './window.ts';

export interface VirtualListProps {
  /** Of the list's rows, in ids. */
  readonly id: string;
  readonly label: string;
  readonly rows: number;
  readonly rowPx: number;
  /** The row that has the cursor; -1 for none. */
  readonly active: number;
  renderRow(row: number): JSX.Element;
  /** What tells rows apart when they move. */
  rowKey(row: number): string | number;
  onActive(row: number): void;
  /** Enter, or a press on a row. */
  onOpen?(row: number): void;
  onKeyDown?(event: KeyboardEvent): void;
  /** The rows drawn now, once scrolling has come to rest. */
  onRest?(first: number, end: number): void;
}

const REST_MS = 80;
const NONE: ListWindow = { first: 0, end: 0, topPx: 0 };

/** A list of any length that draws only the rows in sight; one stop of the Tab key, moved in by arrows. */
export function VirtualList(props: VirtualListProps): JSX.Element {
  const { id, label, rows, rowPx, active } = props;
  const box = useRef<HTMLDivElement>(null);
  const shown = useSignal(NONE);
  const look = (): void => {
    const { current } = box;
    if (current === null) return;
    const next = windowAt({ rows, rowPx, heightPx: current.clientHeight }, current.scrollTop);
    const { first, end, topPx } = shown.value;
    if (next.first !== first || next.end !== end || next.topPx !== topPx) shown.value = next;
  };
  useResize(box, look);
  useLayoutEffect(look, [rows, rowPx]);
  useLayoutEffect(() => {
    const { current } = box;
    if (current === null || active < 0) return;
    const size = { rows, rowPx, heightPx: current.clientHeight };
    const to = scrollTo(size, active, current.scrollTop);
    if (to === undefined) return;
    current.scrollTop = to;
    look();
  }, [active]);
  const { first, topPx } = shown.value;
  const end = Math.min(shown.value.end, rows);
  useRest(props.onRest, first, end);
  const drawn = Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
  return (
    <div
      ref={box}
      id={id}
      class="list"
      role="listbox"
      aria-label={label}
      aria-activedescendant={active >= first && active < end ? `${id}-${active}` : undefined}
      tabIndex={0}
      onScroll={look}
      onKeyDown={(event) => onListKey(event, props, box.current?.clientHeight ?? 0)}
    >
      <div class="list-content" style={{ height: `${contentPx({ rows, rowPx })}px` }}>
        <div class="list-window" style={{ transform: `translateY(${topPx}px)` }}>
          {drawn.map((row) => (
            <div
              key={props.rowKey(row)}
              id={`${id}-${row}`}
              class="row"
              role="option"
              tabIndex={-1}
              aria-selected={row === active}
              aria-setsize={rows}
              aria-posinset={row + 1}
              style={{ height: `${rowPx}px` }}
              onClick={() => {
                props.onActive(row);
                props.onOpen?.(row);
              }}
              onKeyDown={undefined}
            >
              {props.renderRow(row)}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

function onListKey(event: KeyboardEvent, props: VirtualListProps, heightPx: number): void {
  const { rows, active, rowPx } = props;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const page = Math.max(1, Math.floor(heightPx / rowPx) - 1);
  const moves: Readonly<Record<string, number>> = {
    ArrowDown: active + 1,
    ArrowUp: active < 0 ? rows - 1 : active - 1,
    PageDown: active + page,
    PageUp: active - page,
    Home: 0,
    End: rows - 1,
  };
  const to = moves[event.key];
  if (to !== undefined && rows > 0) {
    event.preventDefault();
    props.onActive(Math.max(0, Math.min(rows - 1, to)));
  } else if (event.key === 'Enter' && active >= 0) {
    event.preventDefault();
    props.onOpen?.(active);
  } else props.onKeyDown?.(event);
}

function useResize(box: { readonly current: HTMLDivElement | null }, look: () => void): void {
  const latest = useRef(look);
  latest.current = look;
  useEffect(() => {
    if (box.current === null) return undefined;
    const observer = new ResizeObserver(() => latest.current());
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
}

function useRest(onRest: VirtualListProps['onRest'], first: number, end: number): void {
  useEffect(() => {
    if (onRest === undefined) return undefined;
    const timer = setTimeout(() => onRest(first, end), REST_MS);
    return () => clearTimeout(timer);
  }, [onRest, first, end]);
}
