import { type Flag, flag } from './flags.ts';

/** Flags that every command takes. */
export const COMMON_FLAGS: {
  readonly json: Flag<true>;
  readonly quiet: Flag<true>;
  readonly config: Flag<string>;
  readonly local: Flag<string>;
  readonly 'token-file': Flag<string>;
  readonly timeout: Flag<number>;
  readonly help: Flag<true>;
} = {
  json: flag.on('write JSON, one value a line, errors included'),
  quiet: flag.on('write no progress and no summary', 'q'),
  config: flag.text(
    'FILE',
    'where stores have names (default: strata.config.ts or .json, if there)',
  ),
  local: flag.text('STORE', 'local copy of a ws: store, kept between runs (default: in memory)'),
  'token-file': flag.text('FILE', 'file with the token of a ws: store (else STRATAKV_TOKEN)'),
  timeout: flag.duration('longest wait of each step (default: 5s)'),
  help: flag.on('show this help', 'h'),
};
