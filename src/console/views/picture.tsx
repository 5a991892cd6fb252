import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Session } from '../model/session.ts';
import type { Arrow, Box, Drawing } from './layout.ts';
import { type Group, layScene, type Scene } from './scene.ts';

/** The served store and everybody who holds a copy of it, as a picture. */
export function Picture({ session }: { readonly session: Session }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const widthPx = useSignal(0);
  useLayoutEffect(() => {
    const { current } = box;
    if (current === null) return undefined;
    // Without the padding; it tells the first width as well.
    const observer = new ResizeObserver(([entry]) => {
      widthPx.value = Math.floor(entry?.contentRect.width ?? 0);
    });
    observer.observe(current);
    return () => observer.disconnect();
  }, []);
  const served = session.served.value;
  const live = session.link.state.value.name === 'live';
  const scene =
    served === undefined
      ? undefined
      : layScene({
          widthPx: widthPx.value,
          server: served.shape,
          version: served.version,
          copy: session.copyShape.value,
          subscribers: session.subscribers.value,
          ownId: session.link.id,
        });
  return (
    <div ref={box} class="picture">
      {scene === undefined || widthPx.value === 0 ? (
        <p class="empty">The picture comes with the first answer of the server.</p>
      ) : (
        <SceneView scene={scene} live={live} />
      )}
    </div>
  );
}

function SceneView({
  scene,
  live,
}: {
  readonly scene: Scene;
  readonly live: boolean;
}): JSX.Element {
  const { width, height, groups, arrows } = scene;
  return (
    <svg
      role="img"
      aria-label={describe(groups)}
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
    >
      <defs>
        <marker
          id="head"
          viewBox="0 0 8 8"
          refX="7"
          refY="4"
          markerWidth="8"
          markerHeight="8"
          orient="auto"
        >
          <path class="arrow-head" d="M1 1 7 4 1 7" />
        </marker>
      </defs>
      <g class={live ? 'links flowing' : 'links'}>
        {arrows.map((arrow) => (
          <path
            key={arrow.id}
            d={curve(arrow, arrow.from.x !== arrow.to.x)}
            marker-end="url(#head)"
          />
        ))}
      </g>
      {groups.map((group) => (
        <GroupView key={group.id} group={group} />
      ))}
    </svg>
  );
}

function describe(groups: readonly Group[]): string {
  return groups
    .map(({ title, lines, drawing }) =>
      [title, ...(drawing?.boxes.map((one) => one.title) ?? []), ...lines].join(', '),
    )
    .join('; ');
}

function GroupView({ group }: { readonly group: Group }): JSX.Element {
  const { x, y, width, height, title, lines, kind, behind, drawing } = group;
  return (
    <g class={`group ${kind}${behind ? ' behind' : ''}`}>
      <rect x={x} y={y} width={width} height={height} rx={12} />
      <text class="group-title" x={x + 16} y={y + 23}>
        {title}
      </text>
      {kind === 'server' || kind === 'more' || lines[0] === 'not connected' ? null : (
        <circle class="dot" cx={x + width - 18} cy={y + 19} r={4} />
      )}
      {lines.map((line, i) => (
        <text key={line} class="fact" x={x + 16} y={y + 43 + i * 17}>
          {line}
        </text>
      ))}
      {drawing === undefined ? null : <DrawingView drawing={drawing} />}
    </g>
  );
}

function DrawingView({ drawing }: { readonly drawing: Drawing }): JSX.Element {
  return (
    <g>
      {drawing.arrows.map((arrow) => (
        <g key={arrow.id} class="part">
          <path d={curve(arrow, false)} marker-end="url(#head)" />
          <text
            class="role"
            x={arrow.to.x}
            y={arrow.to.y - 12}
            text-anchor={arrow.to.x < arrow.from.x ? 'end' : 'start'}
            dx={arrow.to.x < arrow.from.x ? -9 : 9}
          >
            {arrow.label}
          </text>
        </g>
      ))}
      {drawing.boxes.map((box) => (
        <BoxView key={box.id} box={box} />
      ))}
    </g>
  );
}

function BoxView({ box }: { readonly box: Box }): JSX.Element {
  const { x, y, width, height, title, lines, kind } = box;
  return (
    <g class={`box ${kind}`}>
      <rect x={x} y={y} width={width} height={height} rx={8} />
      <text class="box-title" x={x + 12} y={y + 22}>
        {title}
      </text>
      {lines.map((line, i) => (
        <text key={line} class="fact" x={x + 12} y={y + 41 + i * 17}>
          {line}
        </text>
      ))}
    </g>
  );
}

/** A line that leaves and arrives straight: across, or down. */
function curve({ from, to }: Arrow, across: boolean): string {
  const middleX = (from.x + to.x) / 2;
  const middleY = (from.y + to.y) / 2;
  return across
    ? `M${from.x} ${from.y}C${middleX} ${from.y} ${middleX} ${to.y} ${to.x - 2} ${to.y}`
    : `M${from.x} ${from.y}C${from.x} ${middleY} ${to.x} ${middleY} ${to.x} ${to.y - 2}`;
}
