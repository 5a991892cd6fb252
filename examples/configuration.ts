/** Stores described as data, checked before they are opened. `node examples/configuration.ts` */
import type { ReplicaStore } from 'stratakv';
import { checkConfig, defineConfig, openStore } from 'stratakv/config';

const config = defineConfig({
  stores: {
    orders: {
      type: 'replica',
      sync: [{ type: 'lmdb', path: './orders' }, 'sqlite:./orders.db'],
      async: [{ type: 'file', path: './archive' }],
      queueLength: 100,
    },
  },
}); // export it from strata.config.ts, and the command knows its stores by name

await using orders = await openStore<ReplicaStore<Uint8Array>>(config, 'orders');
await orders.set('order:1', Buffer.from('tea'));
console.log(Buffer.from((await orders.get('order:1')) ?? []).toString());

const wrong = { type: 'replica', sync: ['memory:', { type: 'lmbd', path: './orders' }] };
for (const { path, message } of await checkConfig(wrong)) console.log(`${path}: ${message}`);
