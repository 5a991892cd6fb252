import { CLOSE } from './wire.ts';

/**
 * Why a connection ended, as counted by the publication: `turned-away` waited too long for its turn
 * to read; `no-progress` took nothing in; `rights-changed` comes back to see what it may now;
 * `protocol-error`, `malformed` and `too-large` sent frames that no subscriber sends; `refused` asked
 * for what there is not; `overloaded` is one too many.
 */
export type EndReason =
  | 'closed-by-subscriber'
  | 'lost'
  | 'going-away'
  | 'handshake-timeout'
  | 'turned-away'
  | 'no-progress'
  | 'protocol-error'
  | 'malformed'
  | 'too-large'
  | 'denied'
  | 'rights-expired'
  | 'rights-changed'
  | 'refused'
  | 'overloaded'
  | 'failed';

/** What frames were like for which a connection is closed with a code. */
export function breachOf(code: number): EndReason | undefined {
  if (code === CLOSE.malformed) return 'malformed';
  if (code === CLOSE.tooBig) return 'too-large';
  return code === CLOSE.protocol || code === CLOSE.notBinary ? 'protocol-error' : undefined;
}
