/** A large file in chunks, a second version that shares them, a name for both. `node examples/blobs.ts` */
import { blobs } from 'stratakv/blobs';
import { file } from 'stratakv/file';

await using store = file({ path: './blobs' });
const all = blobs(store);

const lines = Array.from({ length: 100_000 }, (_, n) => `line ${n}\n`);
const first = await all.split(Buffer.from(lines.join(''))); // or any stream of bytes
await all.anchors.put('log', first.ref);

lines[50_000] = 'a line that somebody changed\n';
const second = await all.split(Buffer.from(lines.join('')));
await all.anchors.put('log', second.ref, { if: { ref: first.ref } }); // unless somebody else did
console.log(`${second.chunks} chunks, ${second.addedChunks} of them new`);

for await (const part of all.join(second.ref, { start: 538_890, end: 538_918 }))
  console.log(Buffer.from(part).toString()); // read of the chunks that it takes, and checked
console.log((await all.anchors.history('log')).length, 'versions');
const { swept } = await all.sweep(); // what no anchor reaches and is older than a day
console.log({ swept });
