import type { JSX } from 'preact';
import { Chart, type ChartSeries } from './chart.tsx';

/** What a card plots, of samples with columns of these names. */
export interface Plot<C extends string> {
  readonly title: string;
  readonly note: string;
  readonly series: readonly (ChartSeries & { readonly column: C })[];
  readonly axis: (value: number) => string;
  readonly whole?: boolean;
  /** Distances that lines of the grid may have. */
  readonly steps?: readonly number[];
}

export interface PlotCardProps<C extends string> {
  readonly plot: Plot<C>;
  readonly columns: [number[], ...(number | null)[][]];
  /** The newest sample. */
  readonly last: Readonly<Record<C, number | null>> | undefined;
}

/** A plot with its title and the newest values. */
export function PlotCard<C extends string>({ plot, columns, last }: PlotCardProps<C>): JSX.Element {
  const { title, note, series, axis, whole, steps } = plot;
  return (
    <figure class="card plot">
      <figcaption>
        <h2>{title}</h2>
        <span class="dim">{note}</span>
        <span class="plot-now">
          {series.map(({ column, label, color }) => (
            <span key={column} data-color={color}>
              <i aria-hidden="true" />
              <b>{shown(last?.[column], axis)}</b>
              {series.length > 1 ? ` ${label}` : ''}
            </span>
          ))}
        </span>
      </figcaption>
      <Chart
        label={`${title}, ${note}, over the last minutes`}
        columns={columns}
        series={series}
        axis={axis}
        whole={whole === true}
        steps={steps}
      />
    </figure>
  );
}

function shown(value: number | null | undefined, axis: (value: number) => string): string {
  return value === null || value === undefined ? '–' : axis(value);
}
