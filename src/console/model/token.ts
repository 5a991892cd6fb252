const KEPT_AS = 'stratakv.token';

/**
 * The token: from the address once, after `#`, and from then on only in this tab's memory of the
 * session. The address is cleaned, so that it can be shown and shared.
 */
export function takeToken(): string | undefined {
  const given = /^#token=([^&/]+)/.exec(location.hash)?.[1];
  if (given === undefined) return sessionStorage.getItem(KEPT_AS) ?? undefined;
  keepToken(given);
  history.replaceState(null, '', `${location.pathname}#/`);
  return given;
}

export function keepToken(token: string): void {
  sessionStorage.setItem(KEPT_AS, token);
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEPT_AS);
}

/** What somebody pasted as a token: it, or the address that carries it. */
export function tokenIn(pasted: string): string {
  return (/#token=([^&/\s]+)/.exec(pasted)?.[1] ?? pasted).trim();
}
