/** A process that serves a sqlite store: path and port come as arguments, writes come as messages. */
import { sqlite } from '../../src/drivers/sqlite/index.ts';
import { publish } from '../../src/sync/index.ts';
import { serveWebSocket } from '../../src/sync/node.ts';
import { bytes } from './bytes.ts';

const [path = '', port = '0'] = process.argv.slice(2);
const store = sqlite({ path });
const publication = publish(store, {
  authorize: ({ token }) => token === 'secret' && { read: true, write: true },
});
const service = await serveWebSocket({ publication, port: Number(port) });

process.on('message', async (write: { readonly key: string; readonly text?: string }) => {
  if (write.text === undefined) await store.delete(write.key);
  else await store.set(write.key, bytes(write.text));
  process.send?.({ written: write.key });
});
process.send?.({ port: service.port });
