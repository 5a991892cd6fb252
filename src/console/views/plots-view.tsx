import type { JSX } from 'preact';
import { bytes, count, short } from '../format/figures.ts';
import type { ColumnOf } from '../model/sample-window.ts';
import type { Sample } from '../model/samples.ts';
import type { Session } from '../model/session.ts';
import { type Plot, PlotCard } from '../parts/plot-card.tsx';

const PLOTS: readonly Plot<ColumnOf<Sample>>[] = [
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
      {PLOTS.map((plot) => (
        <PlotCard
          key={plot.title}
          plot={plot}
          columns={session.samples.columns(plot.series.map(({ column }) => column))}
          last={last}
        />
      ))}
    </div>
  );
}
