import type { JSX } from 'preact';
import type { SubscriberStats } from '../../sync/index.ts';
import { bytes, count, span } from '../format/figures.ts';
import { now } from '../model/now.ts';
import type { ServedShape } from '../model/served.ts';
import type { Session } from '../model/session.ts';
import { Picture } from './picture.tsx';

/** What is served, how it is made up, and who follows it. */
export function Overview({ session }: { readonly session: Session }): JSX.Element {
  const served = session.served.value;
  return (
    <div class="overview">
      <Tiles session={session} />
      <section class="card" aria-labelledby="picture-title">
        <header class="card-head">
          <h2 id="picture-title">Composition</h2>
          {served === undefined ? null : <Capabilities served={served} />}
        </header>
        <Picture session={session} />
      </section>
      <Followers session={session} />
    </div>
  );
}

function Tiles({ session }: { readonly session: Session }): JSX.Element {
  session.keysTick.value;
  const stats = session.stats.value;
  const served = session.served.value;
  const status = session.link.status.value;
  const none = '–';
  const tiles: [string, string][] = [
    ['Keys', count(session.keys.size)],
    ['Revision', count(Math.max(status?.headRev ?? 0, stats?.headRev ?? 0))],
    ['Subscribers', stats === undefined ? none : count(stats.subscribers)],
    ['Sent', stats === undefined ? none : bytes(stats.sentBytes)],
    ['Server memory', stats === undefined ? none : bytes(stats.rssBytes)],
    ['Up for', served === undefined ? none : span(now.value - served.startedAt)],
  ];
  return (
    <dl class="tiles">
      {tiles.map(([label, value]) => (
        <div key={label} class="tile">
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const SURVIVES = {
  memory: 'writes end with the process',
  os: 'writes survive a crash of the process',
  disk: 'writes survive power loss',
  quorum: 'writes survive the loss of a machine',
} as const;

function Capabilities({
  served: { capabilities, writable },
}: {
  readonly served: ServedShape;
}): JSX.Element {
  const { durability, atomic, conditional, ttl } = capabilities;
  const chips = [
    SURVIVES[durability],
    atomic === 'batch' ? 'atomic batches' : 'atomic by key',
    conditional === 'none' ? 'no conditions' : 'conditional writes',
    ttl ? 'expiry' : 'no expiry',
    writable ? 'writable from here' : 'read only from here',
  ];
  return (
    <ul class="chips" aria-label="What the served store can do">
      {chips.map((chip) => (
        <li key={chip}>{chip}</li>
      ))}
    </ul>
  );
}

/** Where a subscriber stands, and what keeps it there. */
function position(lag: number, { state, lagMs }: Pick<SubscriberStats, 'state' | 'lagMs'>): string {
  if (lag === 0) return 'up to date';
  const behind = `${count(lag)} behind${lagMs < 1_000 ? '' : ` for ${span(lagMs)}`}`;
  if (state === 'blocked') return `${behind}, reads too slowly`;
  return state === 'waiting' ? `${behind}, waits its turn` : behind;
}

function Followers({ session }: { readonly session: Session }): JSX.Element | null {
  const subscribers = session.subscribers.value;
  if (subscribers.length === 0) return null;
  return (
    <section class="card" aria-labelledby="followers-title">
      <header class="card-head">
        <h2 id="followers-title">Subscribers</h2>
      </header>
      <div class="table-box">
        <table>
          <thead>
            <tr>
              <th scope="col">Id</th>
              <th scope="col">State</th>
              <th scope="col" class="figure">
                Operations
              </th>
              <th scope="col" class="figure">
                Bytes
              </th>
              <th scope="col" class="figure">
                Connected for
              </th>
              <th scope="col">Rights</th>
            </tr>
          </thead>
          <tbody>
            {subscribers.map(
              ({ id, lag, trouble, sentOperations, sentBytes, connectedMs, mayWrite, ...more }) => (
                <tr key={id}>
                  <td class="mono">
                    {id.slice(0, 6)}
                    {id === session.link.id ? <span class="you">this page</span> : null}
                  </td>
                  <td>
                    <span class={lag > 0 || trouble !== undefined ? 'state behind' : 'state'}>
                      {trouble ?? position(lag, more)}
                    </span>
                  </td>
                  <td class="figure">{count(sentOperations)}</td>
                  <td class="figure">{bytes(sentBytes)}</td>
                  <td class="figure">{span(connectedMs)}</td>
                  <td>{mayWrite ? 'read, write' : 'read'}</td>
                </tr>
              ),
            )}
          </tbody>
        </table>
      </div>
    </section>
  );
}
