/** A process that copies a published store into lmdb: address and path come as arguments, it tells when it has caught up. */
import { lmdb } from '../../src/drivers/lmdb/index.ts';
import { subscribe, webSocket } from '../../src/sync/index.ts';

const [url = '', path = ''] = process.argv.slice(2);
const store = lmdb({ path });
const subscription = subscribe(webSocket(url), store, { reconnect: { baseMs: 5, capMs: 50 } });
await subscription.ready;
process.send?.('copied');
