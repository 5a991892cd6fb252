import { type Signal, signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { count } from '../format/figures.ts';
import { Draft } from '../model/draft.ts';
import { go, mayLeave, route } from '../model/route.ts';
import type { Session } from '../model/session.ts';
import { useShortcuts } from '../model/shortcuts.ts';
import { Icon } from '../parts/icons.tsx';
import { Detail } from './detail.tsx';
import { Editor } from './editor.tsx';
import { KeyList } from './key-list.tsx';

/** What is searched for stays while one looks elsewhere. */
const search: Signal<string> = signal('');

const focusOn = (id: string): void => document.getElementById(id)?.focus();

export function KeysView({ session }: { readonly session: Session }): JSX.Element {
  const { key } = route.value;
  const creating = useSignal<Draft | undefined>(undefined);
  const searchBox = useRef<HTMLInputElement>(null);
  const create = (): void => {
    if (!session.mayWrite.value || !mayLeave()) return;
    const draft = new Draft(session);
    draft.key.value = search.value;
    creating.value = draft;
  };
  useShortcuts({ '/': () => searchBox.current?.focus(), n: create });
  const select = (to: string): void => {
    if (to !== route.value.key) go({ view: 'keys', key: to }, true);
    // An unsaved new key may have said no.
    if (route.value.key === to) creating.value = undefined;
  };
  const pane = creating.value !== undefined || key !== undefined ? 'detail' : 'list';
  return (
    <div class="keys" data-pane={pane}>
      <section class="keys-side" aria-label="All keys">
        <SearchBar session={session} box={searchBox} onCreate={create} />
        <KeyCount session={session} />
        <KeyList
          session={session}
          prefix={search.value}
          selected={key}
          onSelect={select}
          onOpen={(opened) => {
            select(opened);
            // Once it is drawn: on a narrow page it was not there before.
            requestAnimationFrame(() => focusOn('detail'));
          }}
          onKeyDown={(event) => {
            if (event.key === 'Escape') searchBox.current?.focus();
          }}
        />
        <NoKeys session={session} />
      </section>
      <section class="keys-main" aria-label="Entry">
        {creating.value !== undefined ? (
          <Editor
            draft={creating.value}
            onDone={(saved) => {
              const made = creating.value?.key.value;
              creating.value = undefined;
              if (saved && made !== undefined) go({ view: 'keys', key: made });
              requestAnimationFrame(() => focusOn('keys'));
            }}
          />
        ) : key === undefined ? (
          <NothingChosen />
        ) : (
          <Detail
            key={key}
            name={key}
            session={session}
            onLeave={() => {
              if (matchMedia('(max-width: 760px)').matches) go({ view: 'keys' });
              focusOn('keys');
            }}
          />
        )}
      </section>
    </div>
  );
}

interface SearchBarProps {
  readonly session: Session;
  readonly box: { current: HTMLInputElement | null };
  onCreate(): void;
}

function SearchBar({ session, box, onCreate }: SearchBarProps): JSX.Element {
  return (
    <div class="search">
      <label class="search-field">
        <span class="unseen">Keys that begin with</span>
        <Icon name="search" />
        <input
          ref={box}
          type="text"
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          placeholder="Keys that begin with…"
          value={search.value}
          onInput={(event) => (search.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Escape' && search.value !== '') search.value = '';
            else if (['Escape', 'ArrowDown', 'Enter'].includes(event.key)) focusOn('keys');
            else return;
            event.preventDefault();
            if (event.key === 'Enter') chooseFirst(session);
          }}
        />
        <span class="kbd" aria-hidden="true">
          /
        </span>
      </label>
      {session.mayWrite.value ? (
        <button type="button" class="button primary" onClick={onCreate}>
          <Icon name="plus" />
          New key
        </button>
      ) : null}
    </div>
  );
}

function chooseFirst({ keys }: Session): void {
  const { start, end } = keys.span(search.value);
  const first = start < end ? keys.at(start) : undefined;
  if (first !== undefined) go({ view: 'keys', key: first }, true);
}

function KeyCount({ session }: { readonly session: Session }): JSX.Element {
  session.keysTick.value;
  const { start, end } = session.keys.span(search.value);
  const all = session.keys.size;
  return (
    <p class="key-count" role="status">
      {search.value === '' ? '' : `${count(end - start)} of `}
      {count(all)} {all === 1 ? 'key' : 'keys'}
      {session.link.state.value.name === 'syncing' ? ', copying…' : ''}
    </p>
  );
}

function NoKeys({ session }: { readonly session: Session }): JSX.Element | null {
  session.keysTick.value;
  const { start, end } = session.keys.span(search.value);
  if (end > start) return null;
  if (session.keys.size > 0)
    return (
      <div class="empty">
        <p>No key begins with</p>
        <p>
          <code>{search.value}</code>
        </p>
        <button type="button" class="button" onClick={() => (search.value = '')}>
          Show all keys
        </button>
      </div>
    );
  const state = session.link.state.value.name;
  if (state !== 'live') return <div class="empty">{state === 'syncing' ? 'Copying…' : ''}</div>;
  return (
    <div class="empty">
      <p>This store is empty.</p>
      <p class="dim">
        {session.mayWrite.value
          ? 'Press n for a first key, or write one from a program.'
          : 'What programs write will appear here at once.'}
      </p>
    </div>
  );
}

function NothingChosen(): JSX.Element {
  return (
    <div class="empty large">
      <p>Choose a key to see its value.</p>
      <p class="dim">
        <kbd>↑</kbd> <kbd>↓</kbd> move, <kbd>Enter</kbd> opens, <kbd>/</kbd> searches, <kbd>?</kbd>{' '}
        tells the rest.
      </p>
    </div>
  );
}
