import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { hostname } from 'node:os';

/** Loopback addresses as a browser may name them. */
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

/** An address as it stands in a URL. */
export function urlHost(address: string): string {
  return isIP(address) === 6 ? `[${address}]` : address;
}

export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || address.startsWith('127.');
}

function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/**
 * The values of the `Host` header that mean this server. A name that merely points at this machine
 * (DNS rebinding) is none of them. A server on all addresses takes any IP address and the
 * machine's own name.
 */
export function hostGuard(address: string, port: number): (header: string | undefined) => boolean {
  const names = new Set(isLoopback(address) ? LOOPBACK : [urlHost(address)]);
  if (isUnspecified(address))
    for (const name of [...LOOPBACK, hostname().toLowerCase()]) names.add(name);
  return (header) => {
    const parts = /^(\[[0-9a-f:.]+\]|[^:/@\s]+)(?::(\d{1,5}))?$/i.exec(header ?? '');
    if (parts === null || Number(parts[2] ?? 80) !== port) return false;
    const name = (parts[1] ?? '').toLowerCase();
    if (names.has(name)) return true;
    return isUnspecified(address) && isIP(name.replace(/^\[|\]$/g, '')) !== 0;
  };
}

/** Compares tokens in a time that does not tell how much of them agrees. */
export function sameToken(given: string | undefined, expected: string): boolean {
  if (given === undefined) return false;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

/** Headers of every answer: the page runs its own scripts only, talks to its own server only, and is kept nowhere. */
export function securityHeaders(host: string): Readonly<Record<string, string>> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "worker-src 'self'",
    // Named, because not every browser counts a socket to the same place as 'self'.
    `connect-src 'self' ws://${host}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ];
  return {
    'content-security-policy': policy.join('; '),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  };
}
