/** The console in a real browser, served by the real command. `npm test` builds what is served. */
import type { Page } from 'playwright';
import { expect, test } from 'vitest';
import { runCli } from './support/cli-process.ts';
import { describeWithEngine, freePort } from './support/engines.ts';
import { ServedConsole, TOKEN } from './support/served-console.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const selected = (page: Page): Promise<string> =>
  page.locator('.row[aria-selected=true] .key-row').getAttribute('title') as Promise<string>;

describeWithEngine('chromium', 'the console', () => {
  const console = new ServedConsole();

  test('is used with the keyboard alone: search, look, edit, make, delete', async () => {
    const { url, port } = await console.serve('memory:', '--write');
    const { remote } = await console.program(port);
    await remote.setMany(['a/1', 'a/2', 'b/1'].map((key) => [key, utf8(`{"key":"${key}"}`)]));
    const { page } = await console.openTab(url);
    const { keyboard } = page;
    expect(page.url()).not.toContain(TOKEN);

    await keyboard.press('2');
    await keyboard.press('/');
    await keyboard.type('a/');
    await page.getByText('2 of 3 keys').waitFor();
    await keyboard.press('Enter');
    await keyboard.press('ArrowDown');
    expect(await selected(page)).toBe('a/2');
    await keyboard.press('Enter');
    await page.locator('.tree .string').getByText('"a/2"').waitFor();
    // The focus moves with the next frame.
    await page.locator('#detail:focus').waitFor();

    await keyboard.press('e');
    await page.locator('#value').fill('{"key": 2, "big": 12345678901234567890}');
    await keyboard.press('Control+Enter');
    await page.locator('.tree').getByText('12345678901234567890').waitFor();
    expect(new TextDecoder().decode(await remote.get('a/2'))).toContain('"key": 2');

    await keyboard.press('n');
    await keyboard.type('new');
    await keyboard.press('Tab');
    await page.locator('#value').fill('"made here"');
    await keyboard.press('Control+Enter');
    await page.getByRole('heading', { name: 'a/new' }).waitFor();
    expect(new TextDecoder().decode(await remote.get('a/new'))).toBe('"made here"');

    await keyboard.press('d');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).focus();
    await keyboard.press('Enter');
    await page.getByText('2 of 3 keys').waitFor();
    expect(await remote.has('a/new')).toBe(false);
    await page.locator('#keys:focus').waitFor();
  });

  test('shows both values when somebody else has written, and replaces none unasked', async () => {
    const { url, port } = await console.serve('memory:', '--write');
    const { remote } = await console.program(port);
    await remote.set('k', utf8('"first"'));
    const { page } = await console.openTab(url);
    await page.keyboard.press('2');
    await page.locator('.row').first().click();
    await page.getByRole('button', { name: 'Edit' }).click();
    await page.locator('#value').fill('"mine"');
    await remote.set('k', utf8('"theirs"'));
    const conflict = page.locator('.conflict');
    await conflict.getByText('"theirs"').waitFor();
    await page.getByRole('button', { name: 'Save' }).click();
    await conflict.getByText('Not saved.').waitFor();
    expect(new TextDecoder().decode(await remote.get('k'))).toBe('"theirs"');
    expect(await page.locator('#value').inputValue()).toBe('"mine"');
    await page.getByRole('button', { name: 'Overwrite with mine' }).click();
    await page.locator('.tree .string').getByText('"mine"').waitFor();
    expect(new TextDecoder().decode(await remote.get('k'))).toBe('"mine"');
  });

  test('asks before what was edited is lost, wherever one goes', async () => {
    const { url, port } = await console.serve('memory:', '--write');
    await (await console.program(port)).remote.setMany(
      ['a', 'b'].map((key) => [key, utf8('"old"')]),
    );
    const { page } = await console.openTab(url);
    await page.keyboard.press('2');
    await page.locator('.row').first().click();
    await page.getByRole('button', { name: 'Edit' }).click();
    await page.locator('#value').fill('"edited"');
    const question = page.getByRole('dialog', { name: 'Leave without saving?' });
    const ways = [
      () => page.getByRole('link', { name: 'Live' }).click(),
      () => page.locator('.row').nth(1).click(),
      () => page.goBack(),
      () => page.keyboard.press('Escape'),
    ];
    for (const way of ways) {
      await way();
      await question.getByRole('button', { name: 'Go on editing' }).click();
      expect(await page.locator('#value').inputValue()).toBe('"edited"');
    }
    await page.getByRole('link', { name: 'Live' }).click();
    await question.getByRole('button', { name: 'Leave' }).click();
    await page.getByText('Nothing has changed').waitFor();
  });

  test('tells changes as they come, pauses and filters them', async () => {
    const { url, port } = await console.serve('memory:', '--write');
    const { remote } = await console.program(port);
    await remote.set('before', utf8('1'));
    const { page } = await console.openTab(url);
    await page.keyboard.press('3');
    await page.getByText('Nothing has changed').waitFor();
    await remote.set('now', utf8('"v"'));
    await remote.delete('before');
    await page.locator('.change-row').nth(1).waitFor();
    expect(await page.locator('.change-key').allTextContents()).toEqual(['before', 'now']);
    await page.keyboard.press('p');
    await remote.set('while', utf8('1'));
    await page.getByText('Go on (1 new)').waitFor();
    expect(await page.locator('.change-row').count()).toBe(2);
    await page.keyboard.press('p');
    await page.locator('.change-row').nth(2).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('whi');
    await expect.poll(() => page.locator('.change-key').allTextContents()).toEqual(['while']);
  });

  test('draws the composition and its subscribers, and plots the figures', async () => {
    await runCli(['set', 'sqlite:./pictured.db', 'a', '1'], { cwd: console.dir });
    const { url, port } = await console.serve('sqlite:./pictured.db');
    await console.program(port);
    const { page } = await console.openTab(url);
    const picture = page.locator('.picture svg');
    await picture.getByText('This page').waitFor();
    await expect
      .poll(() => picture.getAttribute('aria-label'))
      .toMatch(
        /^Server, sqlite, .*This page, tiered, memory, indexeddb, up to date.*; Subscriber /,
      );
    await page.getByText('Read only', { exact: true }).waitFor();
    await page.keyboard.press('2');
    expect(await page.getByRole('button', { name: 'New key' }).count()).toBe(0);
    await page.keyboard.press('4');
    await expect.poll(() => page.locator('.plot canvas').count()).toBe(4);
    await expect.poll(() => page.locator('.plot-now b').nth(3).textContent()).toBe('2');
  });

  test('lives through an end of the server: shows its copy, and resumes', async () => {
    const port = await freePort();
    const first = await console.serve('sqlite:./back.db', '--write', '--port', String(port));
    const { remote } = await console.program(port);
    await remote.setMany(Array.from({ length: 500 }, (_, i) => [`k/${i}`, utf8(`${i}`)]));
    const { page } = await console.openTab(first.url);
    await page.keyboard.press('2');
    await page.getByText('500 keys', { exact: true }).waitFor();
    first.server.child.kill('SIGKILL');
    await page.locator('.connection.waiting').waitFor();
    await page.getByText('The server is away').waitFor();
    let received = 0;
    page.on('websocket', (socket) => {
      if (socket.url().endsWith('/main'))
        socket.on('framereceived', ({ payload }) => (received += payload.length));
    });
    await page.getByText('500 keys', { exact: true }).waitFor();
    await console.serve('sqlite:./back.db', '--write', '--port', String(port));
    await page.locator('.connection.live').waitFor();
    expect(received).toBeGreaterThan(0);
    await page.reload();
    await page.locator('.connection.live').waitFor();
    await page.getByText('500 keys', { exact: true }).waitFor();
    // Both times it went on from where its copy stood.
    expect(received).toBeLessThan(1_000);
  });

  test('lets nobody in without the token, and takes it by hand', async () => {
    const { port, url } = await console.serve('memory:');
    const { page } = await console.openTab(url.replace(/#.*/, ''), '.gate');
    await page.getByText('A token is needed').waitFor();
    await page.getByLabel('Address or token').fill('wrong-token');
    await page.keyboard.press('Enter');
    await page.getByText('This token is not accepted').waitFor();
    await page.getByLabel('Address or token').fill(`http://127.0.0.1:${port}/#token=${TOKEN}`);
    await page.keyboard.press('Enter');
    await page.locator('.connection.live').waitFor();
    await page.reload();
    await page.locator('.connection.live').waitFor();
  });

  test('begins anew when the address serves another store', async () => {
    const port = await freePort();
    const one = await console.serve('memory:', '--write', '--port', String(port));
    await (await console.program(port)).remote.set('old', utf8('1'));
    const { page } = await console.openTab(one.url);
    await page.keyboard.press('2');
    await page.getByText('1 key', { exact: true }).waitFor();
    one.server.child.kill('SIGTERM');
    await one.server.ended;
    await console.serve('memory:', '--write', '--port', String(port));
    await (await console.program(port)).remote.setMany([
      ['new/1', utf8('1')],
      ['new/2', utf8('2')],
    ]);
    await page.getByText('2 keys', { exact: true }).waitFor();
    expect(await page.locator('.key-row').first().getAttribute('title')).toBe('new/1');
  });

  test('stays quick with 100,000 keys', async () => {
    const { url, port } = await console.serve('memory:', '--write');
    const { remote } = await console.program(port);
    const name = (i: number): string => `item/${String(i).padStart(6, '0')}`;
    for (let from = 0; from < 100_000; from += 5_000)
      await remote.setMany(
        Array.from({ length: 5_000 }, (_, i) => [name(from + i), utf8(`{"n":${from + i}}`)]),
      );
    const { page } = await console.openTab(url);
    await page.keyboard.press('2');
    await page.getByText('100,000 keys', { exact: true }).waitFor();
    expect(await page.locator('.row').count()).toBeLessThan(60);
    // Frames while the whole list is scrolled through and another writes all the time.
    let writing = true;
    const writer = (async () => {
      for (let i = 0; writing; i++) await remote.set(name((i * 7_919) % 100_000), utf8(`${i}`));
    })();
    const slowestMs = await page.locator('#keys').evaluate(async (list) => {
      const frames: number[] = [];
      for (let i = 0; i <= 60; i++) {
        const start = performance.now();
        list.scrollTop = (list.scrollHeight * i) / 60;
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        frames.push(performance.now() - start);
      }
      return frames.sort((a, b) => a - b).at(-3) ?? 0;
    });
    writing = false;
    await writer;
    expect(slowestMs).toBeLessThan(250);
    await page.locator('#keys').focus();
    await page.keyboard.press('End');
    await expect.poll(() => selected(page)).toBe(name(99_999));
    const start = performance.now();
    await page.keyboard.press('/');
    await page.keyboard.type('item/0512');
    await page.getByText('100 of 100,000 keys').waitFor();
    expect(performance.now() - start).toBeLessThan(3_000);
  }, 90_000);
});
