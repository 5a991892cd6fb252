import { type Signal, signal } from '@preact/signals';

export const VIEWS = ['overview', 'keys', 'live', 'plots', 'archive'] as const;
export type View = (typeof VIEWS)[number];

/** Where in the console one is: kept in the address, after `#`. */
export interface Route {
  readonly view: View;
  /** The key that is looked at. */
  readonly key?: string;
}

export function parseRoute(hash: string): Route {
  const [, name = '', key] = /^#\/([a-z]*)(?:\/(.+))?$/.exec(hash) ?? [];
  const view = VIEWS.find((known) => known === name) ?? 'overview';
  const plain = view === 'keys' && key !== undefined ? decode(key) : undefined;
  return plain === undefined ? { view } : { view, key: plain };
}

export function formatRoute({ view, key }: Route): string {
  return key === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(key)}`;
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    // An address typed by hand.
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

export const route: Signal<Route> = signal({ view: 'overview' });

/** Says whether one may go; who says no asks the user first. */
export type Guard = (to: Route) => boolean;

let guard: Guard | undefined;

/** Asks before every step elsewhere, until the removal that it gives is called. */
export function guardRoute(fn: Guard): () => void {
  guard = fn;
  return () => {
    if (guard === fn) guard = undefined;
  };
}

/** Whether one may leave what is shown; where not, the user is being asked. */
export function mayLeave(to: Route = route.value): boolean {
  return guard?.(to) !== false;
}

/** Reads the address, now and whenever it changes. */
export function followAddress(): void {
  route.value = parseRoute(location.hash);
  addEventListener('hashchange', () => {
    const to = parseRoute(location.hash);
    if (mayLeave(to)) route.value = to;
    else history.pushState(null, '', formatRoute(route.value));
  });
}

/** Goes elsewhere; `replace` leaves no step for the back button. */
export function go(to: Route, replace: boolean = false): void {
  if (!mayLeave(to)) return;
  if (replace) history.replaceState(null, '', formatRoute(to));
  else history.pushState(null, '', formatRoute(to));
  route.value = to;
}
