import type { JSX } from 'preact';
import { bytes, count, short } from '../format/figures.ts';
import type { Sample } from '../model/samples.ts';
import type { Session } from '../model/session.ts';
import { Chart, type ChartSeries } from '../parts/chart.tsx';

interface Plot {
  readonly title: string;
  readonly note: string;
  readonly series: readonly (ChartSeries & { readonly column: keyof Omit<Sample, 'atMs'> })[];
  readonly axis: (value: number) => string;
  readonly whole?: boolean;
}

const PLOTS: readonly Plot[] = [
  {
    title: 'Operations',
    note: 'a second',
    axis: short,
    series: [
      { column: 'operationsPerS', label: 'delivered', color: '--series-1' },
      { column: 'commitsPerS', label: 'commits', color: '--series-2' },
    ],
  },
  {
    title: 'Bytes sent',
    note: 'a second',
    axis: bytes,
    series: [{ column: 'bytesPerS', label: 'sent', color: '--series-1' }],
  },
  {
    title: 'Subscribers',
    note: 'connected',
    axis: count,
    whole: true,
    series: [{ column: 'subscribers', label: 'subscribers', color: '--series-2' }],
  },
  {
    title: 'Lag',
    note: 'commits, of the slowest subscriber',
    axis: short,
    whole: true,
    series: [{ column: 'lag', label: 'behind', color: '--series-3' }],
  },
];

/** The last five minutes of the server. */
export function PlotsView({ session }: { readonly session: Session }): JSX.Element {
  session.samplesTick.value;
  const { all } = session.samples;
  const last = all.at(-1);
  return (
    <div class="plots">
      {all.length < 2 ? (
        <p class="plots-wait dim" role="status">
          Gathering figures: one each second…
        </p>
      ) : null}
      {PLOTS.map(({ title, note, series, axis, whole }) => (
        <figure key={title} class="card plot">
          <figcaption>
            <h2>{title}</h2>
            <span class="dim">{note}</span>
            <span class="plot-now">
              {series.map(({ column, label, color }) => (
                <span key={column} data-color={color}>
                  <i aria-hidden="true" />
                  <b>{axis(last?.[column] ?? 0)}</b>
                  {series.length > 1 ? ` ${label}` : ''}
                </span>
              ))}
            </span>
          </figcaption>
          <Chart
            label={`${title}, ${note}, over the last minutes`}
            columns={session.samples.columns(series.map(({ column }) => column))}
            series={series}
            axis={axis}
            whole={whole === true}
          />
        </figure>
      ))}
    </div>
  );
}
