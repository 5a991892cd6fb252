export { DedupeBuffer } from './dedupe-buffer.ts';
export type {
  DedupeBufferOptions,
  DedupeKind,
  DedupePart,
  DedupeSink,
  DedupeStatus,
  DedupeStopOptions,
  DedupeStopped,
  DedupeTakeOptions,
  DedupeUpdate,
  DedupeWindow,
  SinkUpdate,
} from './types.ts';
