import { hash } from 'node:crypto';

/** SHA-1s of names, one after another: 20 bytes of each. */
export function sha1s(names: readonly Buffer[]): Buffer {
  return Buffer.from(names.map((name) => hash('sha1', name, 'binary')).join(''), 'latin1');
}
