import type { Shape } from '../../store/primitives.ts';
import type { SubscriberStats } from '../../sync/index.ts';
import { bytes } from '../format/figures.ts';
import { type Arrow, boxHeight, type Drawing, drawShape, shifted } from './layout.ts';

/** Who takes part, as it is to be drawn. */
export interface SceneInit {
  /** Room there is, in px. */
  readonly widthPx: number;
  readonly server: Shape;
  /** Of the server. */
  readonly version: string;
  /** What this page holds its copy in. */
  readonly copy: Shape | undefined;
  readonly subscribers: readonly SubscriberStats[];
  /** By which the server names this page. */
  readonly ownId: string;
}

/** A frame with a caption around a drawing, or a mere box where there is none. */
export interface Group {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly lines: readonly string[];
  readonly kind: 'server' | 'page' | 'subscriber' | 'more';
  readonly behind: boolean;
  readonly drawing?: Drawing;
}

export interface Scene {
  readonly width: number;
  readonly height: number;
  readonly groups: readonly Group[];
  readonly arrows: readonly Arrow[];
}

const PAD = 18;
const HEAD_PX = 40;
const GAP = 16;
/** Between the server and its subscribers. */
const BETWEEN_PX = 120;
const BETWEEN_NARROW_PX = 56;
const SUBSCRIBER_PX = 214;
/** What a page's own stores take. */
const PAGE_PX = 330;
const MAX_SUBSCRIBERS = 8;
/** Margin for strokes and shadows. */
const EDGE = 4;

type Unplaced = Omit<Group, 'x' | 'y'>;

/** Places the server and everybody who holds a copy: side by side, or one under the other. */
export function layScene(init: SceneInit): Scene {
  const drawing = drawShape(init.server, init.widthPx - 2 * (PAD + EDGE));
  const server = framed('server', 'server', 'Server', [`stratakv ${init.version}`], drawing);
  const others = subscriberGroups(init);
  const widest = Math.max(SUBSCRIBER_PX, ...others.map(({ width }) => width));
  const wide = server.width + BETWEEN_PX + widest + 2 * EDGE <= init.widthPx;
  return wide ? sideBySide(server, others, widest) : underneath(server, others);
}

function subscriberGroups({ subscribers, ownId, copy, widthPx }: SceneInit): Unplaced[] {
  const room = widthPx - 2 * (PAD + EDGE);
  const own = subscribers.find(({ id }) => id === ownId);
  const rest = subscribers.filter(({ id }) => id !== ownId);
  const drawing = copy === undefined ? undefined : drawShape(copy, Math.min(PAGE_PX, room));
  const page = framed('page', 'page', 'This page', linesOf(own), drawing, own);
  const shown = rest.length > MAX_SUBSCRIBERS ? rest.slice(0, MAX_SUBSCRIBERS - 1) : rest;
  const groups = shown.map((one) =>
    framed(one.id, 'subscriber', `Subscriber ${one.id.slice(0, 6)}`, linesOf(one), undefined, one),
  );
  const left = rest.length - shown.length;
  return [page, ...groups, ...(left > 0 ? [framed('more', 'more', `and ${left} more`, [])] : [])];
}

function linesOf(subscriber: SubscriberStats | undefined): string[] {
  if (subscriber === undefined) return ['not connected'];
  const { lag, sentBytes, mayWrite, trouble } = subscriber;
  return [
    lag === 0 ? 'up to date' : `${lag} commits behind`,
    `${bytes(sentBytes)} received, ${mayWrite ? 'may write' : 'read only'}`,
    ...(trouble === undefined ? [] : [`its store fails: ${trouble}`]),
  ];
}

function framed(
  id: string,
  kind: Group['kind'],
  title: string,
  lines: readonly string[],
  drawing?: Drawing,
  stats?: SubscriberStats,
): Unplaced {
  const head = drawing === undefined ? 0 : HEAD_PX - 34 + GAP / 2;
  const width = Math.max(SUBSCRIBER_PX, (drawing?.width ?? 0) + 2 * PAD);
  const height =
    boxHeight(lines.length) + (drawing === undefined ? 0 : head + drawing.height + PAD);
  const behind = stats !== undefined && (stats.lag > 0 || stats.trouble !== undefined);
  return { id, kind, title, lines, width, height, behind, ...(drawing && { drawing }) };
}

/** Puts a group at a place, what it frames along with it. */
function putAt(group: Unplaced, x: number, y: number): Group {
  const { drawing } = group;
  if (drawing === undefined) return { ...group, x, y };
  const dx = x + (group.width - drawing.width) / 2;
  const dy = y + group.height - PAD - drawing.height;
  return { ...group, x, y, drawing: shifted(drawing, dx, dy) };
}

function sideBySide(server: Unplaced, others: readonly Unplaced[], widest: number): Scene {
  const othersHeight = others.reduce((sum, { height }) => sum + height, GAP * (others.length - 1));
  const height = Math.max(server.height, othersHeight);
  const left = putAt(server, EDGE, EDGE + (height - server.height) / 2);
  let y = EDGE + (height - othersHeight) / 2;
  const placed = others.map((group) => {
    const put = putAt(group, EDGE + server.width + BETWEEN_PX, y);
    y += group.height + GAP;
    return put;
  });
  const from = { x: left.x + left.width, y: left.y + left.height / 2 };
  return {
    width: server.width + BETWEEN_PX + widest + 2 * EDGE,
    height: height + 2 * EDGE,
    groups: [left, ...placed],
    arrows: placed.map((group) => ({
      id: group.id,
      from,
      to: { x: group.x, y: group.y + group.height / 2 },
      label: '',
    })),
  };
}

function underneath(server: Unplaced, others: readonly Unplaced[]): Scene {
  const width = Math.max(server.width, ...others.map((group) => group.width));
  const middle = (group: Unplaced): number => EDGE + (width - group.width) / 2;
  const top = putAt(server, middle(server), EDGE);
  let y = EDGE + server.height + BETWEEN_NARROW_PX;
  const placed = others.map((group) => {
    const put = putAt(group, middle(group), y);
    y += group.height + GAP;
    return put;
  });
  const first = placed[0];
  const x = EDGE + width / 2;
  return {
    width: width + 2 * EDGE,
    height: y - GAP + EDGE,
    groups: [top, ...placed],
    // One line serves for all: the others stand in its shadow.
    arrows:
      first === undefined
        ? []
        : [{ id: 'all', from: { x, y: top.y + top.height }, to: { x, y: first.y }, label: '' }],
  };
}
