/** Random runs beside a model, write behind; of the other policies: `../model.test.ts`. */
import '../../../../test/support/behind-loaded.ts';
import { describe, it } from 'vitest';
import { checkModel, MODEL_MS } from '../../../../test/support/tiered-model-check.ts';

describe('agrees with a plain map of what may be read', () => {
  for (const read of ['front-first', 'front-only'] as const)
    it(`write behind, read ${read}`, { timeout: MODEL_MS }, async () => {
      await checkModel({ write: 'behind', read });
    });
});
