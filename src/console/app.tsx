import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { formatRoute, go, route, VIEWS, type View } from './model/route.ts';
import type { Session } from './model/session.ts';
import { useShortcuts } from './model/shortcuts.ts';
import { nextTheme, theme } from './model/theme.ts';
import { Dialog } from './parts/dialog.tsx';
import { Icon, Mark } from './parts/icons.tsx';
import { ArchiveView } from './views/archive-view.tsx';
import { Connection, TokenForm } from './views/connection.tsx';
import { KeysView } from './views/keys-view.tsx';
import { LiveView } from './views/live-view.tsx';
import { Overview } from './views/overview.tsx';
import { PlotsView } from './views/plots-view.tsx';

const TITLES: Readonly<Record<View, string>> = {
  overview: 'Overview',
  keys: 'Keys',
  live: 'Live',
  plots: 'Plots',
  archive: 'Archive',
};

/** The console: header, the view of the address, and the keys that work everywhere. */
export function App({ session }: { readonly session: Session }): JSX.Element {
  const helping = useSignal(false);
  useShortcuts({
    1: () => go({ view: 'overview' }),
    2: () => go({ view: 'keys' }),
    3: () => go({ view: 'live' }),
    4: () => go({ view: 'plots' }),
    5: () => {
      if (session.archive.value !== undefined) go({ view: 'archive' });
    },
    t: nextTheme,
    '?': () => {
      helping.value = true;
    },
  });
  const denied = session.link.state.value.name === 'denied';
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        To the content
      </button>
      <Header session={session} onHelp={() => (helping.value = true)} />
      <Trouble session={session} />
      {denied ? <TokenForm session={session} /> : null}
      <main id="main" tabIndex={-1} hidden={denied} class={`view-${route.value.view}`}>
        <h1 class="unseen">{TITLES[route.value.view]}</h1>
        <CurrentView session={session} />
      </main>
      {helping.value ? <Help session={session} onClose={() => (helping.value = false)} /> : null}
    </>
  );
}

function CurrentView({ session }: { readonly session: Session }): JSX.Element {
  switch (route.value.view) {
    case 'keys':
      return <KeysView session={session} />;
    case 'live':
      return <LiveView session={session} />;
    case 'plots':
      return <PlotsView session={session} />;
    case 'archive':
      return <ArchiveView session={session} />;
    default:
      return <Overview session={session} />;
  }
}

/** The views that there are: that of an archive only with one, or where somebody is already. */
function views({ archive }: Session): readonly View[] {
  const hasArchive = archive.value !== undefined || route.value.view === 'archive';
  return VIEWS.filter((view) => view !== 'archive' || hasArchive);
}

function Header({ session, onHelp }: { readonly session: Session; onHelp(): void }): JSX.Element {
  const name = session.served.value?.name;
  return (
    <header class="top">
      <div class="brand">
        <Mark />
        <span class="brand-name">StrataKV</span>
        {name === undefined ? null : (
          <span class="brand-store" title={name}>
            {name}
          </span>
        )}
      </div>
      <nav aria-label="Views">
        {views(session).map((view) => (
          <a
            key={view}
            href={formatRoute({ view })}
            aria-current={view === route.value.view ? 'page' : undefined}
            onClick={(event) => {
              event.preventDefault();
              go({ view });
            }}
          >
            {TITLES[view]}
          </a>
        ))}
      </nav>
      <div class="top-end">
        {session.link.state.value.name === 'live' && !session.mayWrite.value ? (
          <span class="badge" title="Start the server with --write to change this">
            Read only
          </span>
        ) : null}
        <Connection session={session} />
        <button
          type="button"
          class="button quiet round"
          title={`Colours: ${theme.value} (t)`}
          aria-label={`Colours: ${theme.value}. Change`}
          onClick={nextTheme}
        >
          <Icon name={({ auto: 'auto', light: 'sun', dark: 'moon' } as const)[theme.value]} />
        </button>
        <button
          type="button"
          class="button quiet round help"
          title="Keyboard (?)"
          aria-label="What the keyboard does"
          onClick={onHelp}
        >
          <Icon name="keyboard" />
        </button>
      </div>
    </header>
  );
}

/** What keeps the copy from being current, where waiting does not mend it. */
function Trouble({ session }: { readonly session: Session }): JSX.Element | null {
  const state = session.link.state.value;
  const status = session.link.status.value;
  if (state.name === 'failed')
    return (
      <p class="banner" role="alert">
        {state.error.message}
      </p>
    );
  if (status?.state === 'stalled')
    return (
      <p class="banner" role="alert">
        The copy in this browser cannot be written: {status.lastError?.message}
      </p>
    );
  if (state.name === 'waiting')
    return (
      <p class="banner mild">
        The server is away. What you see is the copy in this browser, and may be old.
      </p>
    );
  return null;
}

const KEYS_HELP: readonly [string, string][] = [
  ['/', 'search'],
  ['↑ ↓ PgUp PgDn Home End', 'move in a list'],
  ['Enter', 'open'],
  ['Esc', 'back'],
  ['e', 'edit the entry'],
  ['d', 'delete the entry'],
  ['n', 'new key'],
  ['Ctrl Enter', 'save'],
  ['p', 'pause the live changes'],
  ['t', 'colours: auto, light, dark'],
];

function Help({ session, onClose }: { readonly session: Session; onClose(): void }): JSX.Element {
  const places = views(session);
  const numbers = places.map((_, at) => at + 1).join(' ');
  const keysOfViews: [string, string] = [numbers, places.join(', ')];
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      <dl class="help-keys">
        {[keysOfViews, ...KEYS_HELP].map(([keys, does]) => (
          <div key={keys}>
            <dt>
              {keys.split(' ').map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <div class="actions end">
        <button type="button" class="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
