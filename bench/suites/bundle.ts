import { ensureBuilt } from '../../scripts/build.ts';
import { bundleSizes } from '../../scripts/lib/bundle-budgets.ts';
import type { Suite } from '../lib/row.ts';

export const bundle: Suite = {
  name: 'bundle',
  about: 'what a browser downloads: minified, gzipped, dependencies included',
  async run(report) {
    await ensureBuilt(() => undefined);
    for (const { name, size, goalBytes } of await bundleSizes()) {
      if (typeof size === 'string') throw new Error(`${name}: ${size}`);
      report({ name, value: size, unit: 'B', goal: { of: 'value', most: goalBytes } });
    }
  },
};
