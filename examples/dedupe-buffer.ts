/** A source that never waits, and a slow sink that skips ahead. `node examples/dedupe-buffer.ts` */
import { setTimeout as sleep } from 'node:timers/promises';
import { DedupeBuffer } from 'stratakv/dedupe-buffer';

const buffer = new DedupeBuffer<number>();
const sending = buffer.sendToSink({
  async onUpdates(updates) {
    await sleep(50); // meanwhile the buffer keeps the newest update of each key, and no more
    for (const { kind, key, value } of updates) console.log(kind, key, value ?? '');
  },
  onStatusUpdated: (status) => console.log(status),
});

buffer.onStatusUpdated('resync');
for (let i = 1; i <= 1_000; i++)
  buffer.onUpdates([
    { key: 'door', value: i },
    { key: 'window', value: -i },
  ]);
buffer.onStatusUpdated('in-sync'); // no update passes a status
await sleep(10);
buffer.onReconnect(); // everything will be sent again, then 'in-sync'
buffer.onUpdates([{ key: 'door', value: 1_001 }]);
buffer.onStatusUpdated('in-sync'); // the window was not seen again: it is deleted
await buffer.stop({ drain: true });
await sending;
