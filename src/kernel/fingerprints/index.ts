export { Answerer, type ScanRequest } from './answerer.ts';
export { Asker, type Comparison, type Next } from './asker.ts';
export { Fingerprinter, type Seed } from './fingerprint.ts';
export {
  type Answer,
  type Ask,
  type ListPart,
  MAX_FAN_OUT,
  MAX_LISTED,
  MAX_SPANS,
  type Part,
  type Span,
  type SplitPart,
} from './messages.ts';
export { RangeSums } from './range-sums.ts';
