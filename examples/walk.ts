/** Pages that link to each other: walk what can be reached, sweep the rest. `node examples/walk.ts` */
import { json } from 'stratakv';
import { lmdb } from 'stratakv/lmdb';
import { jsonWalker, sweep, walk } from 'stratakv/walk';

interface Page {
  readonly title: string;
  readonly links: readonly string[];
}

await using pages = lmdb({ path: './pages', codec: json<Page>() });
await pages.setMany([
  ['home', { title: 'Home', links: ['about', 'news'] }],
  ['about', { title: 'About us', links: ['news'] }],
  ['news', { title: 'News', links: [] }],
  ['draft', { title: 'Nobody links here', links: ['news'] }],
]);

const walker = jsonWalker('links'); // or any function from (key, value) to keys
for await (const { key } of walk(pages, ['home'], walker, { order: 'roots-last' }))
  console.log('reachable:', key); // news, about, home: each after all that it points to

const olderThanMs = 0; // no writer is at work here; else longer than any of them takes
const { swept, kept } = await sweep(pages, ['home'], walker, { olderThanMs });
console.log({ swept, kept });
