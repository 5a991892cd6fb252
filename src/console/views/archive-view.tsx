import type { JSX } from 'preact';
import { age, bytes, count, short, span } from '../format/figures.ts';
import type { ArchiveSample } from '../model/archive-samples.ts';
import type { ColumnOf } from '../model/sample-window.ts';
import type { ServedArchive, ServedFailure } from '../model/served.ts';
import type { Session } from '../model/session.ts';
import { type Plot, PlotCard } from '../parts/plot-card.tsx';

type ArchivePlot = Plot<ColumnOf<ArchiveSample>>;

/** Distances in s that read well on a clock. */
const CLOCK_STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 172_800,
  432_000, 864_000, 4_320_000, 8_640_000,
];

const LEVELS: readonly ArchivePlot[] = [
  {
    title: 'Dirty',
    note: 'keys marked and not frozen yet',
    axis: short,
    whole: true,
    series: [{ column: 'dirty', label: 'dirty', color: '--series-1' }],
  },
  {
    title: 'Oldest mark',
    note: 'for how long it has waited',
    axis: (seconds) => age(seconds * 1_000),
    whole: true,
    steps: CLOCK_STEPS,
    series: [{ column: 'oldestMarkS', label: 'oldest', color: '--series-2' }],
  },
  {
    title: 'Failing',
    note: 'keys whose last try failed',
    axis: short,
    whole: true,
    series: [{ column: 'failing', label: 'failing', color: '--series-3' }],
  },
];

const RATE: ArchivePlot = {
  title: 'Freezing',
  note: 'keys a second, by this server',
  axis: short,
  series: [
    { column: 'frozenPerS', label: 'frozen', color: '--series-1' },
    { column: 'failuresPerS', label: 'failed', color: '--series-3' },
  ],
};

/** How the archive of the server stands, over the last minutes and now. */
export function ArchiveView({ session }: { readonly session: Session }): JSX.Element {
  const figures = session.archive.value;
  if (figures === undefined) return <NoArchive session={session} />;
  const { archiveSamples: samples } = session;
  const plots = figures.work === undefined ? LEVELS : [...LEVELS, RATE];
  return (
    <div class="archive">
      <Standing figures={figures} />
      <div class="archive-plots">
        {plots.map((plot) => (
          <PlotCard
            key={plot.title}
            plot={plot}
            columns={samples.columns(plot.series.map(({ column }) => column))}
            last={samples.all.at(-1)}
          />
        ))}
        {figures.work === undefined ? <OnlyLooks /> : null}
      </div>
      <Failures figures={figures} />
    </div>
  );
}

function NoArchive({ session }: { readonly session: Session }): JSX.Element {
  const isKnown = session.served.value !== undefined && session.link.state.value.name === 'live';
  return (
    <div class="empty large" role="status">
      {isKnown ? (
        <p>
          This server was given no archive; start it with <code>--archive</code>.
        </p>
      ) : (
        <p class="dim">Gathering figures…</p>
      )}
    </div>
  );
}

/** The freeze rate's place where nobody here counts what is frozen. */
function OnlyLooks(): JSX.Element {
  return (
    <section class="card plot archive-looks" aria-labelledby="looks-title">
      <h2 id="looks-title">Freezing</h2>
      <p class="dim">
        This server only looks. What workers elsewhere freeze, they count for themselves; whether
        they keep up is seen by the dirty keys. <code>stratakv serve … --work</code> freezes here,
        and counts.
      </p>
    </section>
  );
}

function Standing({ figures }: { readonly figures: ServedArchive }): JSX.Element {
  const { name, hot, hotAway, work } = figures;
  const none = '–';
  const tiles: [string, string][] = [
    ['Evicted', hot === undefined ? none : count(hot.evicted)],
    ['Dirty', hot === undefined ? none : count(hot.dirty)],
    ['Failing', hot === undefined ? none : count(hot.failing)],
  ];
  if (work !== undefined)
    tiles.push(
      ['Frozen here', count(work.frozen)],
      ['Bytes frozen here', bytes(work.bytes)],
      ['Failed tries here', count(work.failures)],
    );
  return (
    <section class="card" aria-labelledby="archive-title">
      <header class="card-head">
        <h2 id="archive-title" class="wrap">
          {name}
        </h2>
        <ul class="archive-sides" aria-label="What the archive is made of">
          <Side name="Hot side" awayMs={hotAway?.awayMs} />
          {work === undefined ? null : <Side name="Cold store" awayMs={work.coldAwayMs} />}
        </ul>
      </header>
      {hotAway === undefined ? null : (
        <p class="problem archive-away" role="alert">
          <b>{hotAway.code}</b> {hotAway.message}
        </p>
      )}
      <dl class="archive-tiles">
        {tiles.map(([label, value]) => (
          <div key={label} class="tile">
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Side({
  name,
  awayMs,
}: {
  readonly name: string;
  awayMs: number | undefined;
}): JSX.Element {
  return (
    <li class={awayMs === undefined ? 'state' : 'state away'}>
      {name} {awayMs === undefined ? 'answers' : `away for ${span(awayMs)}`}
    </li>
  );
}

function Failures({ figures }: { readonly figures: ServedArchive }): JSX.Element | null {
  const { hot, failed } = figures;
  if (hot === undefined) return null;
  return (
    <section class="card" aria-labelledby="failing-title">
      <header class="card-head">
        <h2 id="failing-title">Failing keys</h2>
        {failed.length < hot.failing ? (
          <span class="dim">
            the {count(failed.length)} of {count(hot.failing)} that are tried next
          </span>
        ) : null}
      </header>
      {failed.length === 0 ? (
        <p class="empty">
          <span class="dim">
            None. A key that cannot be frozen stays marked, and is named here.
          </span>
        </p>
      ) : (
        <FailureTable failed={failed} />
      )}
    </section>
  );
}

function FailureTable({ failed }: { readonly failed: readonly ServedFailure[] }): JSX.Element {
  return (
    <div class="table-box">
      <table class="failures">
        <thead>
          <tr>
            <th scope="col">Key</th>
            <th scope="col">Cause</th>
            <th scope="col" class="figure">
              Tries
            </th>
            <th scope="col" class="figure">
              Marked for
            </th>
            <th scope="col" class="figure">
              Next try
            </th>
          </tr>
        </thead>
        <tbody>
          {failed.map(({ key, cause, tries, markedMs, nextTryMs }) => (
            <tr key={key}>
              <td class="mono failed-key" title={key}>
                <span class="two-lines">{key}</span>
              </td>
              <td class="failed-cause" title={cause.message}>
                <span class="two-lines">
                  <span class="op delete">{cause.code}</span> {cause.message}
                </span>
              </td>
              <td class="figure">{count(tries)}</td>
              <td class="figure">{span(markedMs)}</td>
              <td class="figure">{nextTryMs < 1_000 ? 'due' : `in ${span(nextTryMs)}`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
