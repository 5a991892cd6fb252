import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { dark } from '../model/theme.ts';

export interface ChartSeries {
  readonly label: string;
  /** Name of a custom property of the style sheet. */
  readonly color: string;
}

export interface ChartProps {
  readonly label: string;
  /** Seconds since 1970, then one column for each series. */
  readonly columns: [number[], ...(number | null)[][]];
  readonly series: readonly ChartSeries[];
  /** Words for a value. */
  readonly axis: (value: number) => string;
  /** Values are whole numbers. */
  readonly whole: boolean;
  /** Distances that lines of the grid may have, such as those of a clock; default decimal ones. */
  readonly steps?: readonly number[] | undefined;
}

const HEIGHT_PX = 190;
/** The least span of the time axis, in s. */
const SPAN_S = 60;

/** Lines over time, in the colours of the page. */
export function Chart(props: ChartProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const isDark = dark.value;
  useEffect(() => {
    const { current } = box;
    if (current === null) return undefined;
    const made = new uPlot(options(props, current), props.columns, current);
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: current.clientWidth, height: HEIGHT_PX }),
    );
    observer.observe(current);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [isDark]);
  useEffect(() => plot.current?.setData(props.columns), [props.columns]);
  return <div ref={box} class="chart" role="img" aria-label={props.label} />;
}

function options({ series, axis, whole, steps }: ChartProps, box: HTMLElement): uPlot.Options {
  const styles = getComputedStyle(box);
  const color = (name: string): string => styles.getPropertyValue(name).trim();
  const font = `11px ${styles.fontFamily}`;
  const grid = { stroke: color('--plot-grid'), width: 1 };
  const axisLook = { stroke: color('--plot-ink'), font, grid, ticks: { show: false } };
  return {
    width: box.clientWidth,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    padding: [8, 26, 0, 0],
    scales: {
      x: { range: (_, __, max) => [max - SPAN_S * Math.ceil(spanOf(_) / SPAN_S), max] },
      y: {
        range: (_, __, max) => [0, whole ? Math.max(4, Math.ceil(max * 1.2)) : max * 1.15 || 1],
      },
    },
    axes: [
      { ...axisLook, size: 30, values: (_, ticks) => ticks.map(timeOf), space: 70 },
      {
        ...axisLook,
        size: 58,
        ...(steps !== undefined && { incrs: [...steps] }),
        values: (_, ticks) => ticks.map((tick) => (whole && tick % 1 !== 0 ? '' : axis(tick))),
      },
    ],
    series: [
      {},
      ...series.map(({ label, color: name }) => ({
        label,
        stroke: color(name),
        fill: `${color(name)}1c`,
        width: 1.75,
        points: { show: false },
        spanGaps: false,
      })),
    ],
  };
}

function spanOf({ data }: uPlot): number {
  const [times] = data;
  const first = times?.[0];
  const last = times?.[times.length - 1];
  return first === undefined || last === undefined ? SPAN_S : Math.max(1, last - first);
}

const timed = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

function timeOf(seconds: number): string {
  return timed.format(seconds * 1_000);
}
