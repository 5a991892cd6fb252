/** Writes that do not wait for the store that counts. `node examples/write-behind.ts` */
import { json, memory, tiered } from 'stratakv';
import { lmdb } from 'stratakv/lmdb';
import { sqlite } from 'stratakv/sqlite';

interface Order {
  readonly item: string;
  readonly count: number;
}

await using orders = tiered({
  front: memory<Order>(),
  back: sqlite({ path: './orders.db', codec: json<Order>() }), // or one that is far, or often away
  write: 'behind',
  journal: lmdb({ path: './journal' }), // what was acknowledged is here until the back has it
  onEvent: (event) => event.type === 'dead-letter' && console.error('refused:', event.key),
});

await orders.set('order:1', { item: 'tea', count: 1 }); // in the journal
await orders.update('order:1', (order) => order && { ...order, count: order.count + 1 });
console.log(await orders.get('order:1')); // seen at once, wherever it is
const { keys, deadLetters } = await orders.flush(); // waits for the back
console.log({ keys, deadLetters });
