/** Fills the front of a tiered store before it is asked. `node examples/warming.ts` */
import { copyKeys, json, memory, tiered, warm } from 'stratakv';
import { lru } from 'stratakv/lru';
import { sqlite } from 'stratakv/sqlite';

interface Page {
  readonly title: string;
}

const back = sqlite({ path: './pages.db', codec: json<Page>() });
await back.setMany([
  ['page:home', { title: 'Home' }],
  ['page:news', { title: 'News' }],
  ['draft:1', { title: 'Not yet' }],
]);

const front = memory<Page>({ evict: lru({ maxEntries: 10_000 }) });
await warm(front, back, { prefix: 'page:' }); // before the store is open, or …
await using pages = tiered({ front, back, warmOnOpen: { prefix: 'page:' } }); // … from then on

await back.set('page:news', { title: 'More news' }); // by somebody else
const { copied, skipped, removed } = await pages.warm({ strategy: 'mirror', prefix: 'page:' });
console.log({ copied, skipped, removed }, await pages.get('page:news'));
console.log(await copyKeys(back, front, ['draft:1', 'draft:2'])); // counts what was really copied
