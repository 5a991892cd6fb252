/**
 * A process that serves many small stores of a hub over WebSocket. It tells its port; `{ make }` adds
 * so many, `{ sendAway }` has the subscribers of one come back, `{ tell }` asks for what all hold.
 */
import { memory } from '../../src/drivers/memory/index.ts';
import type { StoreWithBlocking } from '../../src/store/store.ts';
import { hub, type Publication } from '../../src/sync/index.ts';
import { serveWebSocket } from '../../src/sync/node.ts';
import { bytes, words } from './bytes.ts';

export type Asked =
  | { readonly make: number }
  | { readonly sendAway: number }
  | { readonly tell: true };

interface Served {
  readonly store: StoreWithBlocking<Uint8Array>;
  readonly publication: Publication;
  /** Another name for what may be read: whoever is connected comes back under it. */
  scope: number;
}

const HEARTBEAT_MS = 100;
const stores = hub();
const served: Served[] = [];
const service = await serveWebSocket({ hub: stores, port: 0 });

async function make(): Promise<void> {
  const store = memory<Uint8Array>();
  await store.setMany(['a', 'b', 'c', 'd'].map((key) => [`key ${key}`, bytes('old')]));
  const id = served.length;
  const publication = stores.register(String(id), store, {
    authorize: ({ token }) =>
      token === 'secret' && {
        read: () => true,
        scope: `scope ${served[id]?.scope}`,
        write: ['n', 'key '],
      },
    limits: { comparedKeys: 0, heartbeatMs: HEARTBEAT_MS },
  });
  served.push({ store, publication, scope: 0 });
}

process.on('message', async (asked: Asked) => {
  if ('make' in asked) {
    for (let i = 0; i < asked.make; i++) await make();
    process.send?.({ made: served.length });
  } else if ('sendAway' in asked) {
    const one = served[asked.sendAway] as Served;
    one.scope++;
    await one.publication.reauthorize();
  } else
    process.send?.({
      told: served.map(({ store }) =>
        Object.fromEntries(
          [...store.blocking.list()].map(({ key, value }) => [key, words(value) ?? '']),
        ),
      ),
    });
});
process.send?.({ port: service.port });
