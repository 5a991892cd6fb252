import { expect, test } from 'vitest';

test('browser cases run in a real Chromium with IndexedDB', async () => {
  expect(navigator.userAgent).toContain('Chrome');
  const opened = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open('stratakv-probe');
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  expect(opened.name).toBe('stratakv-probe');
  opened.close();
  indexedDB.deleteDatabase('stratakv-probe');
});
