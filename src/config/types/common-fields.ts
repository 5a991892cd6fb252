/** Options that several types share, word for word. */
import * as is from '../fields.ts';
import { codecField } from './codecs.ts';

const { value } = is;

export const timeoutMs: is.ValueField = value(
  is.durationMs,
  'Bound of calls that name none, in ms; default 5,000.',
);
/** Of a store of bytes. */
export const codec: is.ValueField = codecField(
  'How values become bytes. Default: none; the store then holds bytes.',
);
/** Of a store of values. */
export const structuredCodec: is.ValueField = codecField(
  'How values become bytes when they leave the process: for the command, and for replication.',
);
export const tombstoneMs: is.ValueField = value(
  is.durationMs,
  'How long deletes are remembered for readers that resume, in ms; default 7 days.',
);
export const commitsKept: is.ValueField = value(
  is.positive,
  'From how many of the last commits a reader can resume; default 1,000,000.',
);
export const logBytes: is.ValueField = value(
  is.count,
  'Bound of the log of whole commits, in bytes; default 4 MiB.',
);
export const tombstoneBytes = (standard: string): is.ValueField =>
  value(is.count, `Bound of what is remembered of deletes, in bytes; default ${standard}.`);
