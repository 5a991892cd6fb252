import { StrataError, type StrataErrorCode } from '../store/errors.ts';
import type { MessageOf } from './protocol.ts';
import type { TransportClose } from './transports/transport.ts';

export function unavailable(what: string): StrataError {
  return new StrataError('unavailable', `subscribe: ${what}`, { operation: 'subscribe' });
}

export function goneAway(): StrataError {
  return unavailable('the server goes away');
}

export function tooLarge(maxBytes: number): StrataError {
  return new StrataError(
    'overloaded',
    `subscribe: a group has more than ${maxBytes} bytes; limits.groupBytes says more`,
    { operation: 'subscribe', retryable: false },
  );
}

export function otherCodec(theirs: string, ours: string): StrataError {
  return new StrataError(
    'invalid-argument',
    `subscribe: the source speaks the codec ${theirs}, the local store ${ours}; both must use one`,
    { operation: 'subscribe' },
  );
}

const CODES: ReadonlySet<string> = new Set<StrataErrorCode>([
  'invalid-argument',
  'unsupported',
  'closed',
  'conflict',
  'timeout',
  'aborted',
  'unavailable',
  'corrupt',
  'data-missing',
  'overloaded',
  'no-space',
  'denied',
  'cursor-expired',
  'unknown-outcome',
]);

/** An error that the server sent. */
export function errorOf(message: MessageOf<'error'>): StrataError {
  const code = CODES.has(message.code) ? (message.code as StrataErrorCode) : 'unavailable';
  return new StrataError(code, message.message, {
    operation: message.id === 0 ? 'subscribe' : 'write',
    key: message.key === '' ? undefined : message.key,
    retryable: message.retryable,
  });
}

export function closedBy({ code, reason }: TransportClose): StrataError {
  const why = reason === '' ? '' : `: ${reason}`;
  return unavailable(`the connection ended (${code}${why})`);
}
