/** A store whose idle keys are in files only, and a loss made good. `node examples/archive.ts` */
import { json } from 'stratakv';
import { archive } from 'stratakv/archive';
import { file } from 'stratakv/file';
import { lmdb } from 'stratakv/lmdb';

const notes = lmdb({ path: './notes', codec: json<{ text: string }>() });
const cold = file({ path: './cold-notes' }); // or S3, or DynamoDB
const safe = archive({ hot: notes, cold, evictAfterMs: 7 * 86_400_000 }); // hot: redisKeys(client)
const worker = safe.worker(); // freezes what is marked, evicts what is idle, until it is stopped

await notes.set('note:1', { text: 'tea' });
await safe.dirty('note:1'); // after a write
await worker.drain(); // it does so by itself, too
await safe.evict('note:1'); // now, and not in a week
console.log(await notes.get('note:1'), 'in the store');
await safe.ensure('note:1'); // before a use
console.log(await notes.get('note:1'), 'from the files');

await notes.clear(); // a loss
const { restored } = await safe.rebuildIndex({ restore: true }); // by listing the cold store
const { checked, differing } = await safe.verify(); // both sides, compared
console.log({ restored, checked, differing }, await notes.has('note:1'));

await safe.close(); // the worker with it
await Promise.all([notes.close(), cold.close()]);
