/** Every pair of policies but those that write behind: see `behind/model.test.ts`. */
import { describe, it } from 'vitest';
import { checkModel, MODEL_MS } from '../../../test/support/tiered-model-check.ts';

describe('agrees with a plain map of what may be read', () => {
  for (const write of ['through', 'around', 'front-only'] as const)
    for (const read of ['front-first', 'front-only'] as const)
      it(`write ${write}, read ${read}`, { timeout: MODEL_MS }, async () => {
        await checkModel({ write, read });
      });
});
