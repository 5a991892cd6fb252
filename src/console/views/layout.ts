import type { Json } from '../../store/entry.ts';
import type { Shape } from '../../store/primitives.ts';

/** A box of the picture, placed. Lengths are in pixels of the picture. */
export interface Box {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly lines: readonly string[];
  /** `store`: holds data itself; `made`: of other stores. */
  readonly kind: 'store' | 'made';
}

/** From the middle of one edge to that of another. */
export interface Arrow {
  readonly id: string;
  readonly from: Point;
  readonly to: Point;
  readonly label: string;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A tree of boxes, laid out from 0, 0. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
}

const BOX_PX = 178;
const MIN_BOX_PX = 112;
const GAP_X = 20;
const GAP_Y = 46;
const TITLE_PX = 34;
const LINE_PX = 17;
const PAD_PX = 10;
/** Between the edge of a box and its text. */
const INSET_PX = 12;
/** A character, on average. */
const CHARACTER_PX = 6.6;

/** Draws what a store is made of, at most so wide where that can be: itself on top, its parts side by side beneath it. */
export function drawShape(shape: Shape, widthPx: number): Drawing {
  const columns = leaves(shape);
  const fitting = Math.floor((widthPx - GAP_X * (columns - 1)) / columns);
  return place(shape, 'root', 0, Math.max(MIN_BOX_PX, Math.min(BOX_PX, fitting)));
}

function leaves({ parts = {} }: Shape): number {
  return Math.max(
    1,
    Object.values(parts).reduce((sum, part) => sum + leaves(part), 0),
  );
}

/** Height of a box with so many lines. */
export function boxHeight(lines: number): number {
  return TITLE_PX + (lines === 0 ? 0 : lines * LINE_PX + PAD_PX);
}

function place(shape: Shape, id: string, y: number, boxPx: number): Drawing {
  const characters = Math.floor((boxPx - 2 * INSET_PX) / CHARACTER_PX);
  const lines = factLines(shape.details, characters);
  const height = boxHeight(lines.length);
  const roles = Object.entries(shape.parts ?? {});
  const below = y + height + GAP_Y;
  const parts = roles.map(([role, part]) => place(part, `${id}.${role}`, below, boxPx));
  const partsWidth = parts.reduce((sum, { width }) => sum + width, 0) + GAP_X * (parts.length - 1);
  const width = Math.max(boxPx, partsWidth);
  const x = (width - boxPx) / 2;
  const kind = roles.length > 0 ? ('made' as const) : ('store' as const);
  const boxes: Box[] = [{ id, x, y, width: boxPx, height, title: shape.type, lines, kind }];
  const arrows: Arrow[] = [];
  let left = (width - partsWidth) / 2;
  parts.forEach((part, i) => {
    const moved = shifted(part, left, 0);
    const top = moved.boxes[0] as Box;
    boxes.push(...moved.boxes);
    arrows.push(...moved.arrows, {
      id: `${id}>${top.id}`,
      from: { x: width / 2, y: y + height },
      to: { x: top.x + top.width / 2, y: top.y },
      label: roles[i]?.[0] ?? '',
    });
    left += part.width + GAP_X;
  });
  const bottom = Math.max(y + height, ...parts.map((part) => part.height));
  return { width, height: bottom, boxes, arrows };
}

/** The same drawing elsewhere. Its height counts from the same 0 as before. */
export function shifted(drawing: Drawing, dx: number, dy: number): Drawing {
  const move = ({ x, y }: Point): Point => ({ x: x + dx, y: y + dy });
  return {
    ...drawing,
    boxes: drawing.boxes.map((box) => ({ ...box, ...move(box) })),
    arrows: drawing.arrows.map((arrow) => ({
      ...arrow,
      from: move(arrow.from),
      to: move(arrow.to),
    })),
  };
}

function factLines(details: Shape['details'] = {}, characters: number): string[] {
  return Object.entries(details).map(([name, value]) =>
    shorten(`${name}: ${words(value)}`, characters),
  );
}

function words(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Cuts out the middle: of a path both ends matter. */
export function shorten(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const kept = characters - 1;
  return `${text.slice(0, Math.ceil(kept / 2))}…${text.slice(text.length - Math.floor(kept / 2))}`;
}
