/** Browsers draw no element much taller: a longer list is scrolled in proportion. */
const MAX_HEIGHT_PX = 8_000_000;
/** Rows kept ready above and below what is seen. */
const SPARE_ROWS = 8;

export interface ListSize {
  readonly rows: number;
  readonly rowPx: number;
  readonly heightPx: number;
}

/** The rows to draw, and where. */
export interface ListWindow {
  readonly first: number;
  /** Beyond the last. */
  readonly end: number;
  /** Of the first row, from the top of the scrolled content. */
  readonly topPx: number;
}

export function contentPx({ rows, rowPx }: Pick<ListSize, 'rows' | 'rowPx'>): number {
  return Math.min(rows * rowPx, MAX_HEIGHT_PX);
}

/** What a list shows that is scrolled so far. */
export function windowAt(size: ListSize, scrollPx: number): ListWindow {
  const { rows, rowPx, heightPx } = size;
  const at = scrollPx * stretch(size);
  const first = Math.max(0, Math.min(rows, Math.floor(at / rowPx) - SPARE_ROWS));
  const end = Math.min(rows, Math.ceil((at + heightPx) / rowPx) + SPARE_ROWS);
  return { first, end, topPx: scrollPx + first * rowPx - at };
}

/** How far to scroll so that a row is seen; `undefined` when it is. */
export function scrollTo(size: ListSize, row: number, scrollPx: number): number | undefined {
  const { rowPx, heightPx } = size;
  const by = stretch(size);
  const at = scrollPx * by;
  if (row * rowPx < at) return (row * rowPx) / by;
  if ((row + 1) * rowPx > at + heightPx) return ((row + 1) * rowPx - heightPx) / by;
  return undefined;
}

/** Rows' pixels for each pixel scrolled. */
function stretch(size: ListSize): number {
  const scrollable = contentPx(size) - size.heightPx;
  return scrollable <= 0 ? 1 : (size.rows * size.rowPx - size.heightPx) / scrollable;
}
