import type { OptionRule } from '../../store/option-rules.ts';

/** What begins the names of everything that an archive keeps for itself. */
export const NAMESPACE_RULE: OptionRule = {
  expected: '1 to 64 characters of A-Z, a-z, 0-9, ".", "_" and "-"',
  accepts: (v) => typeof v === 'string' && /^[\w.-]{1,64}$/.test(v),
};

export const DEFAULT_NAMESPACE = 'strata-archive';
