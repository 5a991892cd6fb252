/*
 * What a WebSocket may close with: browsers allow 1000 and 3000 to 4999 only, and no reason above
 * 123 bytes. The codes of the protocol are moved to where they are allowed, and back again.
 */

const MOVED = 3_000;
const MAX_REASON_BYTES = 120;

const EVERYWHERE: ReadonlySet<number> = new Set([1000]);

/** A code that may be sent: `allowed` says which of those below 3000; default those of browsers. */
export function sentCode(code: number, allowed: ReadonlySet<number> = EVERYWHERE): number {
  if (allowed.has(code) || (code >= 3_000 && code < 5_000)) return code;
  return MOVED + code;
}

/** What a code that came stands for. */
export function meantCode(code: number): number {
  return code >= MOVED + 1_000 && code < MOVED + 1_016 ? code - MOVED : code;
}

/** As much of a reason as may be sent. */
export function sentReason(reason: string): string {
  if (reason.length * 3 <= MAX_REASON_BYTES) return reason;
  const bytes = new Uint8Array(MAX_REASON_BYTES);
  const { read } = new TextEncoder().encodeInto(reason, bytes);
  return reason.slice(0, read);
}
