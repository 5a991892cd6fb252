import { type Signal, useComputed, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { bytes, clock, count } from '../format/figures.ts';
import { preview } from '../format/value.ts';
import type { LoggedChange } from '../model/change-log.ts';
import { go } from '../model/route.ts';
import type { Session } from '../model/session.ts';
import { useShortcuts } from '../model/shortcuts.ts';
import { Icon } from '../parts/icons.tsx';
import { VirtualList } from '../parts/virtual-list.tsx';

const ROW_PX = 40;

/** Changes as they come in, newest first. */
export function LiveView({ session }: { readonly session: Session }): JSX.Element {
  const filter = useSignal('');
  /** Number of the last change shown; `undefined` while it runs. */
  const pausedAt = useSignal<number | undefined>(undefined);
  const active = useSignal<number | undefined>(undefined);
  const { log } = session;
  const shown = useComputed(() => {
    session.changesTick.value;
    return log.newest(pausedAt.value, filter.value);
  });
  const pause = (): void => {
    pausedAt.value = pausedAt.value === undefined ? log.count : undefined;
  };
  useShortcuts({ p: pause, '/': () => document.getElementById('live-filter')?.focus() });
  const changes = shown.value;
  session.changesTick.value;
  const waiting = pausedAt.value === undefined ? 0 : log.count - pausedAt.value;
  return (
    <div class="changes-view">
      <div class="bar">
        <ChangeFilter filter={filter} />
        <button
          type="button"
          class={pausedAt.value === undefined ? 'button' : 'button primary'}
          aria-pressed={pausedAt.value !== undefined}
          onClick={pause}
        >
          <Icon name={pausedAt.value === undefined ? 'pause' : 'play'} />
          {pausedAt.value === undefined
            ? 'Pause'
            : `Go on${waiting > 0 ? ` (${count(waiting)} new)` : ''}`}
        </button>
        <p class="key-count" role="status">
          {count(changes.length)} of {count(log.count)} changes since this page was opened
        </p>
      </div>
      {changes.length === 0 ? (
        <NoChanges any={log.count > 0} />
      ) : (
        <VirtualList
          id="changes"
          label="Changes, newest first"
          rows={changes.length}
          rowPx={ROW_PX}
          active={changes.findIndex(({ number }) => number === active.value)}
          rowKey={(row) => changes[row]?.number ?? -row}
          renderRow={(row) => <ChangeRow change={changes[row]} />}
          onActive={(row) => {
            active.value = changes[row]?.number;
          }}
          onOpen={(row) => {
            const key = changes[row]?.key;
            if (key !== undefined) go({ view: 'keys', key });
          }}
        />
      )}
    </div>
  );
}

function ChangeFilter({ filter }: { readonly filter: Signal<string> }): JSX.Element {
  return (
    <label class="search-field">
      <span class="unseen">Keys that contain</span>
      <Icon name="search" />
      <input
        id="live-filter"
        type="text"
        spellcheck={false}
        autocomplete="off"
        placeholder="Keys that contain…"
        value={filter.value}
        onInput={(event) => {
          filter.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          filter.value = '';
          document.getElementById('changes')?.focus();
        }}
      />
    </label>
  );
}

function ChangeRow({ change }: { readonly change: LoggedChange | undefined }): JSX.Element {
  if (change === undefined) return <span />;
  const { atMs, deleted, key, size, rev, head } = change;
  return (
    <span class="change-row">
      <time class="dim mono">{clock(atMs)}</time>
      <span class={deleted ? 'op delete' : 'op set'}>{deleted ? 'delete' : 'set'}</span>
      <span class="change-key mono" title={key}>
        {key}
      </span>
      <span class="change-value mono dim">{deleted ? '' : preview(head)}</span>
      <span class="change-size dim">{deleted ? '' : bytes(size)}</span>
      <span class="change-rev dim">r{rev}</span>
    </span>
  );
}

function NoChanges({ any }: { readonly any: boolean }): JSX.Element {
  return (
    <div class="empty large">
      {any ? (
        <p>No change of a key with these characters so far.</p>
      ) : (
        <>
          <p>Nothing has changed since this page was opened.</p>
          <p class="dim">
            Every write, from wherever it comes, appears here the moment it is made.
          </p>
        </>
      )}
    </div>
  );
}
